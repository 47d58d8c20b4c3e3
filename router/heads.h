/*
 * What the routers that a claim has asked have of the channel: their heads, as far as they are
 * here. No I/O.
 */
#ifndef ROUTER_HEADS_H
#define ROUTER_HEADS_H

#include "router/place.h"

struct head {
    struct node *node;
    bool is_here;
    enum router_head state;
    struct router_lineage lineage;
    bool has_title;
};

/* Zero-initialised nobody was asked. */
struct heads {
    size_t count;
    struct head items[ROUTER_MEMBER_LIMIT];
};

/* A router is asked; false where too many are already. */
bool heads_add(struct heads *heads, struct node *node);

/* One is gone. */
void heads_remove(struct heads *heads, const struct node *node);

/* Who was asked; returns how many. */
size_t heads_nodes(const struct heads *heads, uint64_t nodes[ROUTER_MEMBER_LIMIT]);

/* An answer is here; of nobody who was asked it is none. */
void heads_note(struct heads *heads, const struct node *node, const struct router_frame *frame);

bool heads_are_all_here(const struct heads *heads);

/* The copy that is better than all others and our own, or NULL where ours is. */
struct head *heads_best(struct heads *heads, const struct place *place);

/* Another one that thinks that it owns the channel, or could; or NULL. */
struct head *heads_title(struct heads *heads);

/* True where one with the title has all of our copy. */
bool heads_have_all(const struct heads *heads, const struct place *place);

#endif
