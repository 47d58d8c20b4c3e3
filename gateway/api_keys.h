/* The keys that the server API takes, from a file: one in each line, so that a new one can be
 * handed out before the old one goes. Part of struct settings. */
#ifndef GATEWAY_API_KEYS_H
#define GATEWAY_API_KEYS_H

#include <stdbool.h>

#include "common/text.h"

#define API_KEY_LEAST_BYTES 16
#define API_KEY_MOST_BYTES  255
#define API_KEYS_LIMIT      16

struct api_keys;

/*
 * Reads the file; white space around a key does not count, nor do empty lines and those that begin
 * with `#`. Returns 0, a negative errno where it cannot be read, or UV_EINVAL where it holds no
 * key, too many, or one that is too short or too long.
 */
int api_keys_read(struct api_keys **keys, const char *path);

/* What an error of api_keys_read means. */
const char *api_keys_explain(int error);

/* NULL is allowed. */
void api_keys_destroy(struct api_keys *keys);

/* True if it is one of the keys. How long that takes tells nothing of them. */
bool api_keys_have(const struct api_keys *keys, struct text key);

#endif
