/*
 * Links and time. What a frame means is in owner.c, ask.c, mirror.c and claim.c.
 *
 * A process that stood still (a debugger, a virtual machine that was moved, SIGSTOP) wakes up in a
 * world that has given it up, and must not conclude from its own sleep that the others are silent.
 * So whenever time jumps, everybody counts as just heard: fences start anew, and the links, which
 * the others have closed meanwhile, go down before anything is committed without them.
 */
#include "router/shard.h"

#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "common/placement.h"
#include "router/shard_parts.h"

#define STALL_MS       400   /* between two events; a tick comes every 50 ms */
#define FORGET_NODE_MS 60000 /* after which a node that is gone is forgotten */

/* Time. */

static void hear_all(struct shard *shard)
{
    for (struct list *at = shard->gateways.next; at != &shard->gateways; at = at->next)
        container_of(at, struct shard_link, link)->heard_ms = shard->now_ms;
    for (struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        struct node *node = container_of(at, struct node, link);

        if (node->shard_link)
            node->shard_link->heard_ms = shard->now_ms;
        else if (node->fence_ms < shard->now_ms + NODE_FENCE_MS && !node->is_dead)
            node->fence_ms = shard->now_ms + NODE_FENCE_MS;
    }
}

/* Every event from outside begins with this. */
static void advance(struct shard *shard, uint64_t now_ms)
{
    uint64_t before = shard->now_ms;

    if (now_ms < before)
        return;
    shard->now_ms = now_ms;
    if (now_ms - before > STALL_MS)
        hear_all(shard);
}

/* Sending. */

void shard_send_link(struct shard *shard, struct shard_link *link, const struct router_frame *frame)
{
    shard->output->send(shard->context, link, frame);
}

void shard_send(struct shard *shard, struct node *node, const struct router_frame *frame)
{
    if (node->shard_link)
        shard_send_link(shard, node->shard_link, frame);
}

void shard_fresh_epoch(struct shard *shard, char epoch[MESSAGE_EPOCH_LIMIT + 1])
{
    snprintf(epoch, MESSAGE_EPOCH_LIMIT + 1, "%016llx",
             (unsigned long long)shard->settings.random(shard->context));
}

static void send_members(struct shard *shard, struct shard_link *to)
{
    struct router_member members[ROUTER_MEMBER_LIMIT];
    size_t count = 0;

    members[count++] = (struct router_member){.node = shard->settings.node,
                                              .name = shard->settings.name,
                                              .address = shard->settings.address,
                                              .is_leaving = shard->is_leaving};
    for (struct list *at = shard->nodes.next; at != &shard->nodes && count < ROUTER_MEMBER_LIMIT;
         at = at->next) {
        const struct node *node = container_of(at, struct node, link);

        if (node->shard_link)
            members[count++] =
                (struct router_member){node->id, node->name, node->address, node->is_leaving};
    }
    shard_send_link(shard, to,
                    &(struct router_frame){.kind = FRAME_MEMBERS, .members = {members, count}});
}

static void send_members_to_all(struct shard *shard)
{
    for (struct list *at = shard->gateways.next; at != &shard->gateways; at = at->next)
        send_members(shard, container_of(at, struct shard_link, link));
    for (struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        struct node *node = container_of(at, struct node, link);

        if (node->shard_link)
            send_members(shard, node->shard_link);
    }
}

static void send_ping(struct shard *shard, struct shard_link *link)
{
    link->pinged_ms = shard->now_ms;
    shard_send_link(shard, link,
                    &(struct router_frame){.kind = FRAME_PING, .ping = {shard->now_ms}});
}

/* Links. */

static void link_up(struct shard *shard, struct shard_link *link, uint64_t id)
{
    link->id = id;
    link->heard_ms = shard->now_ms;
    list_init(&link->link);
    list_init(&link->subscribers);
    list_init(&link->waiting);
    send_ping(shard, link);
}

static void count_links(struct shard *shard)
{
    uint64_t peers = 0;
    uint64_t gateways = 0;

    for (struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next)
        peers += container_of(at, struct node, link)->shard_link != NULL;
    for (struct list *at = shard->gateways.next; at != &shard->gateways; at = at->next)
        gateways++;
    metric_set(&shard->stats.peers, peers);
    metric_set(&shard->stats.gateways, gateways);
}

void shard_gateway_up(struct shard *shard, struct shard_link *link, uint64_t id, uint64_t now_ms)
{
    advance(shard, now_ms);
    link->node = NULL;
    link_up(shard, link, id);
    list_append(&shard->gateways, &link->link);
    send_members(shard, link);
    count_links(shard);
}

void shard_peer_up(struct shard *shard, struct shard_link *link, uint64_t id, const char *name,
                   const char *address, uint64_t now_ms)
{
    struct node *node = nodes_find(shard, id);

    advance(shard, now_ms);
    if (!node) {
        node = node_create(id, name, address);
        list_append(&shard->nodes, &node->link);
    }
    link->node = node;
    link_up(shard, link, id);
    copy_node_up(node);
    node_linked(node, link);
    claim_node_up(shard, node);
    claim_fate_decided(shard); /* it lives */
    owning_tell(shard, node);
    count_links(shard);
    send_members_to_all(shard);
}

void shard_link_down(struct shard *shard, struct shard_link *link, uint64_t now_ms)
{
    struct node *node = link->node;

    advance(shard, now_ms);
    if (!node) {
        list_remove(&link->link);
        owner_gateway_down(shard, link);
    } else {
        node_lost(node, link->heard_ms, shard->now_ms);
        claim_node_lost(shard, node);
        mirror_node_lost(shard, node);
        send_members_to_all(shard);
    }
    count_links(shard);
}

void shard_node_died(struct shard *shard, uint64_t id, uint64_t now_ms)
{
    struct node *node = nodes_find(shard, id);

    advance(shard, now_ms);
    if (!node || node->shard_link || node->is_dead)
        return;
    node_died(node);
    copy_node_decided(node);
    mirror_fences_expire(shard);
    claim_fate_decided(shard);
}

/* Frames. */

static void receive_members(struct shard *shard, struct node *node,
                            const struct router_frame *frame)
{
    const struct router_member *first = frame->members.items;

    if (!node || frame->members.count == 0 || first->node != node->id ||
        first->is_leaving == node->is_leaving)
        return;
    node->is_leaving = first->is_leaving;
    send_members_to_all(shard);
}

static bool receive_from_gateway(struct shard *shard, struct shard_link *link,
                                 const struct router_frame *frame)
{
    switch (frame->kind) {
    case FRAME_SUBSCRIBE:
        owner_subscribe(shard, link, frame);
        return true;
    case FRAME_UNSUBSCRIBE:
        owner_unsubscribe(shard, link, frame);
        return true;
    case FRAME_PUBLISH:
        owner_publish(shard, link, frame);
        return true;
    default:
        return ask_receive(shard, link, frame);
    }
}

/* Frames about a place that we need not have. */
static bool receive_about_place(struct shard *shard, struct node *node,
                                const struct router_frame *frame)
{
    struct place *place = places_find(shard, frame->channel, frame->channel_size);

    switch (frame->kind) {
    case FRAME_HEAD:
        if (place)
            claim_receive_head(place, node, frame);
        return true;
    case FRAME_ENTRY:
        return !place ||
               copy_receive_entry(place, node, frame->deliver.message, &frame->deliver.limits);
    case FRAME_FORGET:
        if (place)
            copy_receive_forget(place, node, frame);
        return true;
    case FRAME_MIRROR_HAVE:
        if (place)
            mirror_receive_have(place, node, frame);
        return true;
    case FRAME_MIRRORED:
        if (place)
            mirror_receive_mirrored(place, node, frame);
        return true;
    case FRAME_MIRROR_CLOSE:
        if (place)
            copy_receive_close(place, node, frame);
        else
            shard_send(shard, node,
                       &(struct router_frame){.kind = FRAME_MIRROR_CLOSED,
                                              .channel = frame->channel,
                                              .channel_size = frame->channel_size});
        return true;
    case FRAME_MIRROR_CLOSED:
        if (place)
            mirror_receive_closed(place, node);
        return true;
    default:
        return false;
    }
}

static bool receive_from_router(struct shard *shard, struct node *node,
                                const struct router_frame *frame)
{
    switch (frame->kind) {
    case FRAME_INQUIRE:
        yield_receive_inquire(shard, node, frame);
        return true;
    case FRAME_TAKE:
        yield_receive_take(shard, node, frame);
        return true;
    case FRAME_GIVEN:
        claim_receive_given(shard, node, frame);
        return true;
    case FRAME_MIRROR_OPEN:
        copy_receive_open(shard, node, frame);
        return true;
    case FRAME_OWNING:
        owning_receive(shard, node, frame);
        return true;
    case FRAME_OFFER:
        owning_receive_offer(shard, frame);
        return true;
    default:
        return receive_about_place(shard, node, frame);
    }
}

void shard_receive(struct shard *shard, struct shard_link *link, const struct router_frame *frame,
                   uint64_t now_ms)
{
    advance(shard, now_ms);
    link->heard_ms = shard->now_ms;
    switch (frame->kind) {
    case FRAME_PING:
        shard_send_link(shard, link,
                        &(struct router_frame){.kind = FRAME_PONG, .ping = frame->ping});
        return;
    case FRAME_PONG:
        if (link->node && frame->ping.time > link->node->echoed_ms &&
            frame->ping.time <= shard->now_ms)
            link->node->echoed_ms = frame->ping.time;
        return;
    case FRAME_MEMBERS:
        receive_members(shard, link->node, frame);
        return;
    default:
        if (!(link->node ? receive_from_router(shard, link->node, frame)
                         : receive_from_gateway(shard, link, frame)))
            shard->output->drop(shard->context, link, "a frame that does not belong here");
        return;
    }
}

/* What is due. */

static void look_at_link(struct shard *shard, struct shard_link *link)
{
    if (shard->now_ms - link->heard_ms >= NODE_SILENCE_MS)
        shard->output->drop(shard->context, link, "silent for 1.5 s");
    else if (shard->now_ms - link->pinged_ms >= NODE_PING_MS)
        send_ping(shard, link);
}

static void look_at_nodes(struct shard *shard)
{
    bool any_decided = false;

    for (struct list *at = shard->nodes.next; at != &shard->nodes;) {
        struct node *node = container_of(at, struct node, link);

        at = at->next;
        if (node->shard_link) {
            look_at_link(shard, node->shard_link);
        } else if (node_expire(node, shard->now_ms)) {
            copy_node_decided(node);
            any_decided = true;
        } else if (shard->now_ms - node->lost_ms > FORGET_NODE_MS && node->fenced == 0 &&
                   list_is_empty(&node->copies) && list_is_empty(&node->mirrored)) {
            node_destroy(node);
        }
    }
    if (any_decided)
        claim_fate_decided(shard);
}

void shard_tick(struct shard *shard, uint64_t now_ms)
{
    advance(shard, now_ms);
    look_at_nodes(shard);
    for (struct list *at = shard->gateways.next; at != &shard->gateways;) {
        struct shard_link *link = container_of(at, struct shard_link, link);

        at = at->next;
        look_at_link(shard, link);
    }
    mirror_fences_expire(shard);
    claim_fate_decided(shard);
    mirror_open_wanted(shard);
    histories_expire(&shard->histories, shard->now_ms);
    metric_set(&shard->stats.history_bytes, shard->histories.memory);
    metric_set(&shard->stats.evicted, shard->histories.evicted);
    metric_set(&shard->stats.place_bytes, places_bytes(shard));
    key_tables_expire(&shard->keys, shard->now_ms);
    metric_set(&shard->stats.key_bytes, shard->keys.memory);
    metric_set(&shard->stats.keys_evicted, shard->keys.evicted);
    presences_expire(&shard->presences, shard->now_ms);
    metric_set(&shard->stats.present, shard->presences.count);
    metric_set(&shard->stats.presence_bytes, shard->presences.memory);
    if (shard->is_leaving)
        owning_offer_some(shard);
    places_sweep(shard);
    shard_flush(shard);
}

void shard_flush(struct shard *shard)
{
    copy_send_acks(shard);
}

void shard_open(struct shard *shard, uint64_t now_ms)
{
    advance(shard, now_ms);
    if (shard->is_open)
        return;
    shard->is_open = true;
    claim_fate_decided(shard);
}

void shard_leave(struct shard *shard, uint64_t now_ms)
{
    advance(shard, now_ms);
    shard->is_leaving = true;
    send_members_to_all(shard);
}

bool shard_has_left(const struct shard *shard)
{
    if (!shard->is_leaving)
        return false;
    if (!nodes_any_taker(shard))
        return true;
    if (shard->owned_count > 0)
        return false;
    for (struct list *at = shard->places.next; at != &shard->places; at = at->next) {
        const struct place *place = container_of(at, struct place, link);

        if (place->role != PLACE_COPY || stray_waits(place))
            return false;
    }
    return true;
}

/* Life. */

static void on_emptied(struct history *history)
{
    (void)history; /* sweep() finds the place */
}

static void on_keys_emptied(struct key_table *table)
{
    (void)table; /* likewise */
}

void shard_init(struct shard *shard, const struct shard_settings *settings,
                const struct shard_output *output, void *context, uint64_t now_ms)
{
    *shard = (struct shard){
        .settings = *settings,
        .output = output,
        .context = context,
        .now_ms = now_ms,
        .seed = placement_seed(settings->name),
    };
    list_init(&shard->places);
    list_init(&shard->nodes);
    list_init(&shard->gateways);
    list_init(&shard->wanted);
    list_init(&shard->fenced);
    list_init(&shard->held);
    list_init(&shard->inquiries);
    list_init(&shard->acks);
    histories_init(&shard->histories, &settings->history, on_emptied);
    key_tables_init(&shard->keys, ROUTER_KEY_WINDOW_MS, settings->key_limit_bytes, on_keys_emptied);
    presences_init(&shard->presences, settings->presence_limit_bytes);
    shard->claim_count = settings->random(context) >> 1; /* no two routers count the same claims */
}

void shard_deinit(struct shard *shard)
{
    shard->is_open = true;
    while (!list_is_empty(&shard->places)) {
        struct place *place = container_of(shard->places.next, struct place, link);

        owner_send_away(place, 0);
        stray_forget_all(place);
        claim_abandon(place);
        copy_detach(place);
        mirror_forget(place);
        places_drop(shard, place);
    }
    claim_fate_decided(shard);
    while (!list_is_empty(&shard->nodes))
        node_destroy(container_of(shard->nodes.next, struct node, link));
    map_deinit(&shard->map);
}

/* Looking from outside. */

void shard_each_place(const struct shard *shard, size_t limit,
                      void (*visit)(void *context, const struct shard_place_view *view),
                      void *context)
{
    static const char *const roles[] = {
        [PLACE_COPY] = "copy",
        [PLACE_CLAIMING] = "claiming",
        [PLACE_OWNED] = "owner",
        [PLACE_YIELDING] = "yielding",
    };

    for (struct list *at = shard->places.next; at != &shard->places && limit-- > 0; at = at->next) {
        const struct place *place = container_of(at, struct place, link);
        size_t subscribers = 0;

        for (struct list *one = place->subscribers.next; one != &place->subscribers;
             one = one->next)
            subscribers++;
        visit(context, &(struct shard_place_view){
                           .channel = place->name,
                           .channel_size = place->name_size,
                           .role = place->role == PLACE_COPY && place->source ? "mirror"
                                                                              : roles[place->role],
                           .epoch = place->lineage.epoch,
                           .offset = place->history.top,
                           .committed = place->committed,
                           .history = place->history.count,
                           .subscribers = subscribers,
                           .mirror = place->mirror ? place->mirror->id : 0,
                       });
    }
}
