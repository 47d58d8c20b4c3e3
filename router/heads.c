#include "router/heads.h"

bool heads_add(struct heads *heads, struct node *node)
{
    if (heads->count == ROUTER_MEMBER_LIMIT)
        return false;
    heads->items[heads->count++] = (struct head){.node = node};
    return true;
}

void heads_remove(struct heads *heads, const struct node *node)
{
    for (size_t i = 0; i < heads->count; i++) {
        if (heads->items[i].node != node)
            continue;
        heads->items[i--] = heads->items[--heads->count];
    }
}

size_t heads_nodes(const struct heads *heads, uint64_t nodes[ROUTER_MEMBER_LIMIT])
{
    for (size_t i = 0; i < heads->count; i++)
        nodes[i] = heads->items[i].node->id;
    return heads->count;
}

void heads_note(struct heads *heads, const struct node *node, const struct router_frame *frame)
{
    for (size_t i = 0; i < heads->count; i++) {
        struct head *head = &heads->items[i];

        if (head->node != node)
            continue;
        head->is_here = true;
        head->state = frame->head.state;
        head->lineage = frame->head.lineage;
        head->has_title = frame->head.has_title;
    }
}

bool heads_are_all_here(const struct heads *heads)
{
    for (size_t i = 0; i < heads->count; i++) {
        if (!heads->items[i].is_here)
            return false;
    }
    return true;
}

struct head *heads_best(struct heads *heads, const struct place *place)
{
    struct router_lineage best_lineage = place_lineage(place);
    bool best_has_title = place->has_title;
    struct head *best = NULL;

    for (size_t i = 0; i < heads->count; i++) {
        struct head *head = &heads->items[i];

        if (head->state == HEAD_COPY &&
            place_is_better(&head->lineage, head->has_title, &best_lineage, best_has_title)) {
            best = head;
            best_lineage = head->lineage;
            best_has_title = head->has_title;
        }
    }
    return best;
}

struct head *heads_title(struct heads *heads)
{
    for (size_t i = 0; i < heads->count; i++) {
        if (heads->items[i].state == HEAD_COPY && heads->items[i].has_title)
            return &heads->items[i];
    }
    return NULL;
}

bool heads_have_all(const struct heads *heads, const struct place *place)
{
    struct router_lineage own = place_lineage(place);

    for (size_t i = 0; i < heads->count; i++) {
        const struct head *head = &heads->items[i];

        if (head->state == HEAD_COPY && head->has_title &&
            place_common_offset(&own, &head->lineage) >= own.offset)
            return true;
    }
    return false;
}
