/*
 * A place is a channel as one router has it: a copy of its history, and what the router is to it.
 *
 * The copy has an epoch, which names one line of messages with one offset each. Who may add to it
 * holds the epoch's *title*. It is made with the epoch, the owner of a channel holds it, and it
 * moves when another router claims the channel: the owner drops it before it sends it on. There is
 * no other way to it. So there is never more than one title to an epoch, whatever clocks,
 * connections or firewalls make routers believe of each other, and none is left where its holder
 * died.
 *
 * A router that must own a copy without its title *forks* it: a new epoch of the next generation,
 * which remembers from where on it is on its own. Whoever has seen the old epoch no further than
 * the fork follows without a gap; whoever has seen more is told. So two routers that lost sight of
 * each other can both go on, but never under one epoch. Where copies meet, the higher generation
 * wins.
 *
 * This file is data and the rules of the copy; what routers do with it is in shard.h. No I/O.
 */
#ifndef ROUTER_PLACE_H
#define ROUTER_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/history.h"
#include "common/keys.h"
#include "common/list.h"
#include "common/map.h"
#include "common/message.h"
#include "router/node.h"
#include "router/presence.h"
#include "router/producers.h"

struct claim;
struct shard;

enum place_role {
    PLACE_COPY,     /* a copy at rest, or a mirror */
    PLACE_CLAIMING, /* becoming the owner: claim.c */
    PLACE_OWNED,
    PLACE_YIELDING, /* giving it to another: yield.c */
};

enum mirror_state {
    MIRROR_NONE,    /* no other router can hold it */
    MIRROR_WANTED,  /* one could, and will be asked */
    MIRROR_OPENING, /* was asked */
    MIRROR_SYNCING, /* is being sent what it lacks */
    MIRROR_HELD,    /* has all, and every commit waits for it */
    MIRROR_CLOSING, /* is being told that it is none any more */
};

struct place {
    struct map_entry entry;
    struct list link; /* in the shard's places */
    struct shard *shard;
    enum place_role role;

    /* The copy. */
    struct router_lineage lineage; /* but for `offset`, which is history.top */
    struct history history;
    struct router_limits limits; /* that its newest message brought, and that count for all */
    uint64_t forgotten;    /* somebody wanted nothing kept of what is up to here, which is never
                              beyond the start of the history */
    struct key_table keys; /* of the messages that came, whether they are kept or not */
    struct producers producers;
    bool has_title;
    bool is_unsure;        /* whoever had the title may be gone, and nobody else has all of this */
    uint64_t unsure_ms;    /* since when, or since we asked others in vain */
    struct node *given_to; /* the title is on its way there, */
    uint64_t given_ms;     /* since when */

    /* Where more of it comes from: a giver (PLACE_CLAIMING or after), or the owner whose mirror we
     * are. */
    struct node *source;
    struct list source_link; /* in source->copies */
    uint64_t source_offset;  /* it is whole from here on */
    bool source_is_owner;
    bool source_has_title; /* and the title comes with the last entry */
    uint64_t lost_owner;   /* the node whose mirror we were until it went out of sight, or 0 */
    uint64_t promised_to;  /* a claimant that has not asked it, and was told what we have, or 0; */
    uint64_t promised_ms;  /* when */
    struct list
        ack_link;       /* in the shard's list of places whose source is to be told what we have */
    struct list strays; /* messages that no history with the title has; see stray.c */
    struct list stray_sources; /* where more of them come from */

    /* What the owner does. */
    struct node *mirror;
    struct list mirror_link; /* in mirror->mirrored */
    struct list wanted_link; /* in the shard's list of places that want a mirror */
    enum mirror_state mirror_state;
    unsigned mirror_refusals;
    bool is_refused;     /* the last one that was asked would not hold it: it has none for that */
    uint64_t refused_ms; /* when it said so */
    uint64_t mirror_target;  /* MIRROR_SYNCING: held from here on */
    uint64_t mirrored;       /* the mirror has all up to here */
    uint64_t committed;      /* so does every subscriber */
    struct node *fence;      /* a lost mirror that may be back at once */
    uint64_t fence_floor_ms; /* the same of earlier ones */
    struct list fence_link;
    struct list subscribers;
    struct presence presence;
    struct list pending; /* publishes that are not committed, by offset */
    struct list parked;  /* requests that wait until it is clear who owns the channel */
    struct claim *claim; /* PLACE_CLAIMING */
    struct node *taker;  /* PLACE_YIELDING */
    uint64_t taker_claim;
    char taker_epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t taker_offset;
    uint64_t
        insisting_claim; /* of a router that ranks below us, for gateways that cannot reach us */
    uint64_t yielded_to; /* the node that took it so; it stays there */
    uint64_t used_ms;    /* when anything last asked for it */

    uint64_t *memory; /* where what it takes beside its history is counted; NULL: nowhere */
    uint64_t weight;  /* what is counted there */

    size_t name_size;
    char name[];
};

/* An empty copy. `histories` is the family of its history, `keys` and `presences` likewise. */
struct place *place_create(const char *name, size_t name_size, struct histories *histories,
                           struct key_tables *keys, struct presences *presences);

/* From now on what the place takes beside its history and its presence is counted in `*memory`. */
void place_count_in(struct place *place, uint64_t *memory);

/* Frees a place of which nothing is left but the copy. */
void place_destroy(struct place *place);

/* True where there is an epoch: something was, or could have been, published. */
bool place_has_copy(const struct place *place);

/* What the copy is, with the offset filled in. While the messages before a fork are still coming
 * in, it is no more than a copy of the epoch before. */
struct router_lineage place_lineage(const struct place *place);

/* Offset of the message before the oldest that is kept. */
uint64_t place_start(const struct place *place);

/* Begins a copy anew: nothing kept, the next message follows `start`. */
void place_reset(struct place *place, const struct router_lineage *lineage, uint64_t start);

/* True where the messages of a lineage after `start` can follow what we have. */
bool place_continues(const struct place *place, const struct router_lineage *lineage,
                     uint64_t start);

/* Makes the copy that of another router, whose messages after `start` are to come, and which has
 * forgotten those up to `forgotten`. What else we have of it already is kept; the title is not. */
void place_adopt(struct place *place, const struct router_lineage *lineage, uint64_t start,
                 uint64_t forgotten, const struct router_producers *producers);

/* No more comes of the copy that was adopted last: what is known of publishers beyond what came is
 * forgotten, so that they can publish it again. */
void place_cut_short(struct place *place);

/* Forgets the copy and its title. */
void place_forget(struct place *place);

/* Drops the messages up to an offset; their places, publishers and keys stay. */
void place_forget_history(struct place *place, uint64_t offset);

/* Notes that a publisher's message is known, and where it, or the one that it repeats, is. */
void place_note_publisher(struct place *place, const struct message *message, uint64_t offset);

/* Appends the next message, whose offset has been set, and keeps the history within its limits;
 * notes its publisher and its key. */
void place_append(struct place *place, struct message *message, const struct router_limits *limits,
                  uint64_t now_ms);

/*
 * Where whoever has seen the message at (epoch, offset) goes on in this copy, up to `limit`: true
 * and the offset where nothing is missing that is not kept; false where something is gone.
 */
bool place_follows(const struct place *place, const char *epoch, uint64_t offset, uint64_t limit,
                   uint64_t *from);

/* True where the place (epoch, offset) is one of this copy's, or of the epoch before its fork. */
bool place_has_seen(const struct place *place, const char *epoch, uint64_t offset);

/* True if `one` is the better copy of the two: the one to go on with. */
bool place_is_better(const struct router_lineage *one, bool one_has_title,
                     const struct router_lineage *other, bool other_has_title);

/* Up to where two copies are the same, as far as their forks tell. */
uint64_t place_common_offset(const struct router_lineage *one, const struct router_lineage *other);

/* Goes on under a new epoch from here. `epoch` was never used before. */
void place_fork(struct place *place, const char *epoch);

#endif
