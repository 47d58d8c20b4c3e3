/*
 * Who is on which channel according to this gateway: what its bus was told (bus_presence_set), for
 * the bus to answer from, or to announce again and again. Main loop only; knows no clock.
 *
 * The order in which to announce is that of `due`, over all channels, and of `members` in one:
 * whoever was never announced first, then the one that was announced longest ago.
 */
#ifndef GATEWAY_BUS_PRESENCE_H
#define GATEWAY_BUS_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/map.h"
#include "gateway/bus.h"

struct bus_presences {
    struct map channels;
    struct list due;
    size_t count; /* members of all channels */
};

struct bus_presence_channel {
    struct map_entry entry;
    struct map map; /* of members, by client */
    struct list members;
    size_t name_size;
    char name[]; /* zero-terminated */
};

struct bus_presence_member {
    struct map_entry entry;
    struct list link; /* in the channel's members */
    struct list due_link;
    struct bus_presence_channel *channel;
    uint64_t announced_ms; /* 0: never */
    uint32_t user_size;
    uint32_t info_size;
    char bytes[]; /* the client's id, the user, the info */
};

void bus_presences_init(struct bus_presences *presences);
void bus_presences_deinit(struct bus_presences *presences);

/* Keeps a copy of `who`, instead of an earlier one. */
void bus_presences_set(struct bus_presences *presences, const char *channel, size_t channel_size,
                       const struct bus_present *who);

/* False where the client was not there. */
bool bus_presences_remove(struct bus_presences *presences, const char *channel, size_t channel_size,
                          struct text client);

/* Removes everybody. */
void bus_presences_forget(struct bus_presences *presences, const char *channel,
                          size_t channel_size);

/* NULL where nobody is. */
struct bus_presence_channel *bus_presences_find(const struct bus_presences *presences,
                                                const char *channel, size_t channel_size);

/* Who it is; points at the member. */
struct bus_present bus_presence_who(const struct bus_presence_member *member);

/* A list, which is the caller's to free, of what belongs to the members. */
struct bus_present *bus_presences_list(const struct bus_presences *presences, const char *channel,
                                       size_t channel_size, size_t *count);

/* A member was announced just now; it goes to the end of the order. */
void bus_presence_announced(struct bus_presences *presences, struct bus_presence_member *member,
                            uint64_t now_ms);

/* All are to be announced as if for the first time. */
void bus_presences_renew(struct bus_presences *presences);

#endif
