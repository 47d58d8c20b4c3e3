/* What the command line of carillon-bench asks for. */
#ifndef BENCH_ARGUMENTS_H
#define BENCH_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/process.h"
#include "tests/bench/protocol.h"
#include "tests/bench/server_url.h"

#define URL_LIMIT 64

struct arguments {
    struct server_url urls[URL_LIMIT]; /* of one service; clients take them in turn */
    uint32_t url_count;
    uint32_t channels;
    /* Of each channel: */
    uint32_t clients;
    uint32_t publishers; /* the first of the clients */
    double rate;         /* messages a second of all publishers together; 0: by the window */
    uint32_t window;     /* messages in flight */
    size_t size;         /* bytes of a message */
    bool has_records;    /* it is filled with records, not with letters */
    uint64_t messages;   /* 0: for the duration */
    /* Of the run: */
    uint64_t duration_ns;
    uint64_t warmup_ns;
    double connect_rate; /* connections a second; 0: as fast as they are accepted */
    uint64_t timeout_ns;
    const struct protocol *protocol;
    bool is_deflated; /* permessage-deflate is asked for */
    bool is_insecure; /* a wss:// server's certificate is not checked */
    bool is_idle;
    bool is_accept; /* and no longer than it takes to open */
    bool is_json;
    bool is_quiet;
    struct processes server; /* none: unknown */
};

/* Of all channels. */
static inline uint32_t arguments_connections(const struct arguments *arguments)
{
    return arguments->clients * arguments->channels;
}

enum arguments_outcome { ARGUMENTS_RUN, ARGUMENTS_EXIT, ARGUMENTS_BAD };

/* Reads the command line. ARGUMENTS_EXIT: --help or --version has been answered; ARGUMENTS_BAD: one
 * line on stderr said what is wrong. */
enum arguments_outcome arguments_read(struct arguments *arguments, int argc, char **argv);

#endif
