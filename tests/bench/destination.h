/*
 * Where a client goes: a server, and the channel that it asks for there. What all clients that go
 * to the same place share.
 */
#ifndef BENCH_DESTINATION_H
#define BENCH_DESTINATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "tests/bench/arguments.h"
#include "tests/bench/endpoint.h"
#include "tests/bench/protocol.h"
#include "tests/bench/server_url.h"
#include "tests/bench/upgrade.h"

struct destination {
    struct server_url url;
    struct endpoint endpoint; /* to be resolved before anybody connects */
    struct upgrade_wish wish;
    struct buffer request; /* of every handshake */
    const struct protocol *protocol;
    char channel[24]; /* its name, where the protocol has channels */
};

/* Prepares a zeroed destination for the server at `url`, whose {channel} is `channel`, with which
 * `protocol` is spoken, over permessage-deflate if `is_deflated`. */
void destination_init(struct destination *destination, const struct server_url *url,
                      uint32_t channel, const struct protocol *protocol, bool is_deflated);
void destination_deinit(struct destination *destination);

/* Those of a run: each of its URLs with each of its channels, channel by channel, so that client i,
 * who takes destination i modulo their number, is in channel i modulo that of the channels. */
struct destinations {
    struct destination *items;
    uint32_t count;
};

void destinations_init(struct destinations *destinations, const struct arguments *arguments);
void destinations_deinit(struct destinations *destinations);

/* Looks up all hosts. 0, or what gai_strerror prints, with the host that it is about. */
int destinations_resolve(struct destinations *destinations, const char **host);

static inline struct destination *destinations_take(const struct destinations *destinations,
                                                    uint32_t client)
{
    return &destinations->items[client % destinations->count];
}

#endif
