/* A public listener of the process, of which each worker has a socket of its own. */
#ifndef GATEWAY_ENTRANCE_H
#define GATEWAY_ENTRANCE_H

#include <stdbool.h>
#include <sys/socket.h>

struct entrance {
    const char *option;
    const char *role; /* for the log */
    const char *text; /* the option's value: HOST:PORT, or "off" */
    bool is_open;
    struct sockaddr_storage address;
};

/* Finds out whether it is to be open, and that nobody else has its address. 0 or a libuv error,
 * which is in the log. */
int entrance_claim(struct entrance *entrance);

/* One more socket for it in `*fd`, bound; -1 where it is off. 0 or a libuv error, which is in the
 * log. */
int entrance_open(struct entrance *entrance, int *fd);

/* Writes the log's line of an option that cannot be fulfilled, and returns the error. */
int entrance_fail(const char *option, const char *address, int error);

#endif
