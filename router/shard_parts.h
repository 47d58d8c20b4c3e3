/* What the files of a shard tell each other: shard.c (links, time), places.c and nodes.c (what and
 * whom it knows), owner.c and subscriber.c (requests, publishing, delivery), ask.c (presence and
 * history), mirror.c and copy.c (the second copy, from both sides), claim.c and yield.c (how a
 * channel changes hands, likewise), owning.c (what owners tell each other), stray.c (what two of
 * them leave behind). */
#ifndef ROUTER_SHARD_PARTS_H
#define ROUTER_SHARD_PARTS_H

#include "router/place.h"
#include "router/shard.h"

/* A gateway's subscription to a channel that we own. */
struct subscriber {
    struct list link;      /* in the place's */
    struct list link_link; /* in the gateway link's */
    struct place *place;
    struct shard_link *gateway;
};

enum waiting_kind {
    WAITING_PUBLISH,
    WAITING_STRAY,
    WAITING_SUBSCRIBE,
    WAITING_PRESENCE,
    WAITING_HISTORY,
    WAITING_FORGET,
};

/* A request that cannot be answered yet: parked until its channel has an owner, or pending until it
 * is committed. */
struct waiting {
    struct list link;      /* in the place's parked or pending */
    struct list link_link; /* in the gateway link's */
    struct place *place;
    struct shard_link *gateway; /* NULL once it is gone */
    enum waiting_kind kind;
    struct message *message; /* NULL for a subscription, and for a publish that is a repetition */
    uint64_t sequence;       /* of an ask: its request */
    uint64_t after;
    uint64_t limit; /* of a history ask, as is is_reverse */
    bool is_reverse;
    uint64_t offset;       /* pending: when this is committed; parked: where the asker stands */
    uint64_t acknowledged; /* of a subscription: a sequence, or 0 */
    uint64_t told;         /* pending: the offset for the answer; 0 if unknown */
    bool is_repeat;        /* pending: that of another message with the same key */
    struct router_limits limits; /* of a publish */
    size_t cost;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
};

/* places.c */

/* The place of that name, or NULL. */
struct place *places_find(struct shard *shard, const char *name, size_t name_size);

/* The same, created if need be; NULL where there are too many. */
struct place *places_find_or_create(struct shard *shard, const char *name, size_t name_size);

/* What channels and subscriptions take. */
uint64_t places_bytes(const struct shard *shard);

/* True where there may be more of them. */
bool places_have_room(const struct shard *shard);

/* Frees a place that is nothing to anybody. */
void places_drop(struct shard *shard, struct place *place);

/* The same, if it holds nothing and is nothing to anybody. */
void places_drop_if_empty(struct shard *shard, struct place *place);

void places_set_role(struct place *place, enum place_role role);

/* Looks at the next few: what they wait for that only time brings, and whether they may go. */
void places_sweep(struct shard *shard);

/* nodes.c */

struct node *nodes_find(struct shard *shard, uint64_t id);

/* Its id; our own where `node` is NULL. */
uint64_t nodes_id(const struct shard *shard, const struct node *node);

/* True where `one` (NULL: ourselves) is the better place for the channel. */
bool nodes_rank(const struct shard *shard, const struct place *place, const struct node *one,
                const struct node *other);

/* The best router for the channel of those that are linked and not leaving; NULL: ourselves. A
 * router that is leaving itself is best only where there is no other. */
struct node *nodes_best(const struct shard *shard, const struct place *place);

/* The best other router for the channel, or NULL where there is none. */
struct node *nodes_best_other(const struct shard *shard, const struct place *place);

/* True where another router could take what we have. */
bool nodes_any_taker(const struct shard *shard);

/* True unless all that were ever here and are not now are taken for dead. */
bool nodes_may_any_live(const struct shard *shard);

/* True while a router whose line has broken may be back at once, with more than we have. */
bool nodes_may_any_return(const struct shard *shard);

/* shard.c */

void shard_send(struct shard *shard, struct node *node, const struct router_frame *frame);
void shard_send_link(struct shard *shard, struct shard_link *link,
                     const struct router_frame *frame);

/* An id or epoch that was never used before. */
void shard_fresh_epoch(struct shard *shard, char epoch[MESSAGE_EPOCH_LIMIT + 1]);

/* owner.c */

void owner_subscribe(struct shard *shard, struct shard_link *gateway,
                     const struct router_frame *frame);
void owner_unsubscribe(struct shard *shard, struct shard_link *gateway,
                       const struct router_frame *frame);
void owner_publish(struct shard *shard, struct shard_link *gateway,
                   const struct router_frame *frame);

/* A gateway is gone, and with it what it wanted. */
void owner_gateway_down(struct shard *shard, struct shard_link *gateway);

/* Commits what may be committed by now. */
void owner_commit(struct place *place);

/* True where anything waits for an owner: a gateway that is still there, or a stray. */
bool owner_is_awaited(const struct place *place);

/* The place has an owner, ourselves: serves what was parked. */
void owner_serve_parked(struct place *place);

/* Sends whoever waits or listens to another router (or, with our own id, to ask anew), and forgets
 * who is there: their gateways say so anew where they are sent. Strays stay. */
void owner_send_away(struct place *place, uint64_t node);

/* What to do with a request for a channel. */
enum owner_turn {
    TURN_SERVE,
    TURN_PARK, /* owner_park */
    TURN_AWAY, /* to `node` */
};

/* Decides that; may start a claim. */
enum owner_turn owner_turn(struct place *place, bool insists, uint64_t *node);

/* Keeps a request until the channel has an owner. */
struct waiting *owner_park(struct place *place, struct shard_link *gateway, enum waiting_kind kind,
                           struct message *message);

/* Frees a request, answered or not. */
void owner_forget(struct waiting *waiting);

/* Appends a new message; its publisher's gateway, if there is one, is told when it is committed. */
void owner_append(struct place *place, struct shard_link *gateway, struct message *message,
                  const struct router_limits *limits);

/* True where a request with so many bytes of data may wait. */
bool owner_has_room(const struct shard *shard, size_t bytes);

/* subscriber.c */

/* Takes a gateway that stands at (epoch, offset), or nowhere, among the subscribers of a channel
 * that we own. `acknowledged`: the last sequence of what it published under that epoch, or 0. */
void subscriber_take(struct place *place, struct shard_link *gateway, const char *epoch,
                     uint64_t offset, uint64_t acknowledged);

/* The gateway's subscription, or NULL. */
struct subscriber *subscriber_find(struct place *place, const struct shard_link *gateway);

/* Ends and frees one. */
void subscriber_end(struct subscriber *subscriber);

/* Sends all a message that has just been committed. */
void subscriber_deliver(struct place *place, struct message *message);

/* Sends a message of an ephemeral kind to all that know of these. */
void subscriber_deliver_ephemeral(struct place *place, struct message *message);

/* ask.c */

/* Takes a frame of a gateway about presence or history; false if it is none. */
bool ask_receive(struct shard *shard, struct shard_link *gateway, const struct router_frame *frame);

/* Answers an ask that was parked: we own the channel now, or it is at `node`. */
void ask_serve_parked(const struct waiting *waiting);
void ask_send_away(const struct waiting *waiting, uint64_t node);

/* mirror.c */

/* There is no mirror: decides whether there can be one. */
void mirror_want(struct place *place);
/* Asks the best router at once. */
void mirror_open(struct place *place);
/* Asks those that places want, as many as may be under way. */
void mirror_open_wanted(struct shard *shard);
/* Asks once more a router that would hold no copy, if that was a while ago. */
void mirror_retry(struct place *place);
/* A message was appended. */
void mirror_append(struct place *place, struct message *message);
/* The history was forgotten up to `place->forgotten`. */
void mirror_forget_history(struct place *place);
/* Asks the mirror to be none any more; true if nothing need be waited for. */
bool mirror_close(struct place *place);
/* The channel is forgotten, and so is the mirror; nothing is waited for. */
void mirror_forget(struct place *place);
/* The mirror becomes the owner, or is one already. */
void mirror_release(struct place *place);
void mirror_receive_have(struct place *place, struct node *node, const struct router_frame *frame);
void mirror_receive_mirrored(struct place *place, struct node *node,
                             const struct router_frame *frame);
void mirror_receive_closed(struct place *place, struct node *node);
/* True where all up to the newest message may be committed. */
bool mirror_is_settled(const struct place *place);
/* The newest offset that may be committed. */
uint64_t mirror_commit_limit(const struct place *place);
/* True unless a lost mirror may be back at once. */
bool mirror_is_unfenced(const struct place *place);
void mirror_fences_expire(struct shard *shard);

/* copy.c */

void copy_receive_open(struct shard *shard, struct node *node, const struct router_frame *frame);
void copy_receive_close(struct place *place, struct node *node, const struct router_frame *frame);
/* The next message of a copy that comes in; false if it does not belong. */
bool copy_receive_entry(struct place *place, struct node *node, struct message *message,
                        const struct router_limits *limits);
/* Our owner forgets what is up to an offset. */
void copy_receive_forget(struct place *place, const struct node *node,
                         const struct router_frame *frame);
void copy_send_acks(struct shard *shard);
/* From here on `node` sends what the copy lacks. */
void copy_attach(struct place *place, struct node *node, uint64_t whole_offset, bool is_owner);
/* Nothing more comes from the source. */
void copy_detach(struct place *place);
/* A claimant that cannot have asked the owner that we lost is told what we have: for a moment we
 * are nobody's mirror for the sake of that owner, should it be back. */
void copy_promise(struct place *place, const struct node *claimant);
/* A link to a router is gone; one that was gone is there again; its fate is decided. */
void mirror_node_lost(struct shard *shard, struct node *node);
void copy_node_up(struct node *node);
void copy_node_decided(struct node *node);

/* claim.c */

/* Starts to claim a PLACE_COPY, or claims one anew that we own. */
void claim_start(struct place *place, bool insists);
/* Where strays wait, or for long nobody has asked for what may be the only copy, and we do not own
 * the channel: claims it for that. Not while no other router is there: what goes on may be out of
 * sight. */
void claim_for_strays(struct place *place);
/* The place goes, whatever was under way. */
void claim_abandon(struct place *place);
bool claim_is_settling(const struct place *place);
/* True where all have been asked, and the channel is about to be ours. */
bool claim_is_past_asking(const struct place *place);
/* Another owner turned up: claims again when it is done. */
void claim_is_contested(struct place *place);
bool claim_insists(const struct place *place);
/* Another router goes on with it. */
void claim_give_up(struct place *place, uint64_t node);
void claim_receive_head(struct place *place, struct node *node, const struct router_frame *frame);
void claim_receive_given(struct shard *shard, struct node *node, const struct router_frame *frame);
/* All strays of an owner that was relieved are here. */
void claim_relieved(struct place *place, const struct node *node);
/* What came from another router is whole. */
void claim_given_whole(struct place *place);
/* The mirror has changed: is there, is gone, has ended, is no fence any more. */
void claim_mirror_changed(struct place *place);
void claim_node_up(struct shard *shard, struct node *node);
void claim_node_lost(struct shard *shard, struct node *node);
/* A node's fate is decided: what waited for that goes on. */
void claim_fate_decided(struct shard *shard);

/* owning.c */

/* A router is there: tells it what we own. */
void owning_tell(struct shard *shard, struct node *node);
void owning_receive(struct shard *shard, struct node *node, const struct router_frame *frame);
/* Tells a router that it may claim the channel. */
void owning_offer(struct place *place, struct node *node);
/* We leave: offers the next channels to those who are to have them. */
void owning_offer_some(struct shard *shard);
void owning_receive_offer(struct shard *shard, const struct router_frame *frame);

/* Another owner, relieved, whose messages come in as strays. */
struct stray_source {
    struct list link; /* in the place's */
    struct node *node;
    uint64_t offset; /* of the last one */
};

/* stray.c */

/* True where strays wait. */
bool stray_waits(const struct place *place);

/* True where a publisher's message of that sequence, or a later one, is among them. */
bool stray_has(const struct place *place, uint64_t publisher, uint64_t sequence);

/* Publishes all that wait, unless the history has them: the place has the title, and is the owner
 * or about to give it away. */
void stray_publish_all(struct place *place);
/* The shard ends. */
void stray_forget_all(struct place *place);
/* Whoever had the title is out of sight: ours may be the only copy. */
void stray_doubt(struct place *place);
/* A better copy is about to take the place of ours: parks what nobody else has. */
void stray_park_own(struct place *place, const struct router_lineage *better);
/* A router gave us a copy and its title, and we want no more of it than its strays. Several may at
 * once. */
void stray_expect(struct place *place, struct node *node, const struct router_frame *frame);
/* Another copy is about to take the place of one that is still coming, with its title: nobody else
 * may have what is on its way. */
void stray_expect_rest(struct place *place);
/* Takes the next message of that copy; false if it is none. */
bool stray_receive(struct place *place, const struct node *node, struct message *message);
/* A link is gone, and what was on its way. */
void stray_node_lost(struct place *place, const struct node *node);

/* yield.c */

void yield_receive_inquire(struct shard *shard, struct node *node,
                           const struct router_frame *frame);
void yield_receive_take(struct shard *shard, struct node *node, const struct router_frame *frame);
/* True while the owner whose mirror we are is out of sight, and may be back at once. */
bool yield_is_undecided(const struct place *place);
/* Of a place that is being given: the mirror has ended, perhaps; the taker is gone before it had
 * anything. */
void yield_mirror_changed(struct place *place);
void yield_taker_lost(struct place *place);
/* A node's fate is decided: inquiries that waited for that are answered. */
void yield_fate_decided(struct shard *shard);

#endif
