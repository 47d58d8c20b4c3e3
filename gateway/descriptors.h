/*
 * The file descriptors of the process, and who may have how many. Clients are given what the rest
 * cannot need, so that one client too many is told so, and never found by accept.
 */
#ifndef GATEWAY_DESCRIPTORS_H
#define GATEWAY_DESCRIPTORS_H

#include <stdint.h>

struct descriptors {
    uint64_t limit;    /* all of them */
    uint64_t clients;  /* connections of clients that are served */
    uint64_t refusals; /* connections at a time that are being refused */
    uint64_t admin;    /* connections at a time of the admin listener */
};

/* Raises the soft limit to the hard one, and returns the limit that is in force then. */
uint64_t descriptors_raise(void);

/* Divides `limit` for a gateway with so many threads for clients, and listeners for each, that asks
 * the application's backend so much at a time. 0, or UV_EMFILE where it is too low to serve
 * anybody. */
int descriptors_divide(struct descriptors *descriptors, uint64_t limit, unsigned threads,
                       unsigned listeners, uint64_t backend_requests);

#endif
