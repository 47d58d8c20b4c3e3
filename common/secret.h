/* The secret that the nodes of a cluster share, from a file. */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stddef.h>

#define SECRET_LEAST_BYTES 16
#define SECRET_MOST_BYTES  4096

/*
 * Reads a secret; white space around it does not count. Returns 0 and memory that is the caller's,
 * a negative errno where the file cannot be read, or UV_EINVAL where what it holds is too short or
 * too long.
 */
int secret_read(const char *path, char **secret, size_t *size);

/* What an error of secret_read means. */
const char *secret_explain(int error);

#endif
