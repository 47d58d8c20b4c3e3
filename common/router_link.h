/*
 * A link is one connection between routers, or of a gateway with a router: a stream of frames
 * (router_frame.h) after a handshake in which each side has shown who it is and that it knows the
 * secret. What is sent in one iteration of the loop leaves in one write.
 *
 * A gateway that publishes a message above a router's limit is answered as to any publish that can
 * never be: by the link itself, which does not hold such a message. Routers take from each other
 * what any of them may have taken, up to ROUTER_MESSAGE_LIMIT.
 *
 * With TLS under it, both sides show certificates before any frame.
 *
 * A link is embedded in its owner and lives on one loop. Its life: `router_link_dial` or
 * `router_link_accept`, perhaps `ready`, any number of frames, and exactly one `closed`, after
 * which the memory may be freed. Every event may close the link.
 */
#ifndef COMMON_ROUTER_LINK_H
#define COMMON_ROUTER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/block.h"
#include "common/challenge.h"
#include "common/cluster_name.h"
#include "common/framing.h"
#include "common/log_limit.h"
#include "common/loop.h"
#include "common/metrics.h"
#include "common/router_frame.h"
#include "common/stream.h"

/* Who we are; the same for all links of a process. */
struct router_identity {
    uint64_t node;
    enum router_role role;
    const char *name;    /* routers: what places channels */
    const char *address; /* routers: where others reach us; may be empty */
    const char *cluster;
    uint32_t shards;    /* 0 while a gateway does not know */
    const char *secret; /* NULL: none is asked for */
    size_t secret_size;
    size_t message_limit; /* bytes of a message's data that is taken from gateways */
    size_t queue_limit;   /* bytes that may wait for the other side */
    size_t links_limit; /* bytes that all links of a host may hold; 0: any (router_link_memory.h) */
};

struct router_link;

/* What the links of one loop share. */
struct router_link_host {
    struct loop *loop;
    const struct router_identity *identity;
    /* Set by the owner where links are TLS; both sides show certificates. */
    struct tls_context *dial_tls;
    struct tls_context *accept_tls;
    const char *tls_server_name; /* what all routers' certificates bear; NULL: how each is dialed */
    struct list links;           /* all of them */
    struct list dirty;           /* links with something to send */
    uv_prepare_t flush;
    /* Before what was sent leaves; may send more. May be NULL. */
    void (*before_flush)(struct router_link_host *host);
    struct message *encoded_message; /* the message that was encoded last, */
    enum router_frame_kind encoded_kind;
    struct buffer encoded;       /* and its frame; */
    struct block *encoded_block; /* the same, where it is large and was sent */
    struct buffer scratch;       /* for any other frame */
    size_t charged;              /* router_link_memory.h's own */
    struct metric held_bytes;
    struct metric too_large;      /* messages of gateways that were refused for their size */
    struct log_limit large_limit; /* for log lines about them */
};

int router_link_host_init(struct router_link_host *host, struct loop *loop,
                          const struct router_identity *identity);

/* Ends with the last link; the memory must stay until the loop has run once more. */
void router_link_host_close(struct router_link_host *host);

struct router_link_events {
    /* Somebody who connected says who it is (link->peer). False: it is not to go on here, and the
     * link was closed or given away. NULL for links that dial. */
    bool (*hello)(struct router_link *link);
    /* The other side answered who it is. False: the link was closed. NULL for links that are
     * accepted. */
    bool (*welcome)(struct router_link *link);
    void (*ready)(struct router_link *link);
    void (*frame)(struct router_link *link, const struct router_frame *frame);
    /* The end. `error` is what connecting came to, where it failed (UV_ECONNREFUSED, …). */
    void (*closed)(struct router_link *link, int error);
};

enum router_link_state {
    ROUTER_LINK_CONNECTING,
    ROUTER_LINK_GREETING, /* Hello is out, or awaited */
    ROUTER_LINK_PROVING,  /* Welcome is out: the dialer's Proof, or the acceptor's Ready, is awaited
                           */
    ROUTER_LINK_READY,
    ROUTER_LINK_CLOSING,
};

/* Who is at the other end. */
struct router_peer {
    uint64_t node;
    unsigned capabilities; /* those that both of us have named */
    enum router_role role;
    uint32_t shard;
    uint32_t shards;
    uint64_t message_limit; /* bytes of the largest message that it takes; 0: it does not say */
    char name[ROUTER_NAME_LIMIT + 1];
    char address[ROUTER_NAME_LIMIT + 1];
    char cluster[CLUSTER_NAME_LIMIT + 1];
};

struct router_link {
    struct stream stream;
    struct router_link_host *host;
    void *owner; /* the owner's own */
    const struct router_link_events *events;
    enum router_link_state state;
    bool is_dialer;
    bool was_ready;
    int error;
    uint32_t shard;       /* dialers: which one is wanted */
    size_t message_limit; /* bytes of data of what is read */
    struct router_peer peer;
    struct challenge challenge;
    struct framing_reader reader;
    struct waiter waiter; /* for the handshake */
    struct list host_link;
    struct list dirty_link;
    struct block *output;
    struct router_link_read {
        const unsigned char *frame;
        size_t frame_size;
        const unsigned char *rest; /* what came with it */
        size_t rest_size;
    } read;                             /* during an event about a frame */
    char reason[ROUTER_TEXT_LIMIT + 1]; /* why it was closed, for the log */
};

/* Connects to `address` and asks for a shard. With TLS, `name` is what the certificate must bear.
 */
void router_link_dial(struct router_link *link, struct router_link_host *host, void *owner,
                      const struct sockaddr *address, const char *name, uint32_t shard,
                      const struct router_link_events *events);

/* A connection that was accepted; on its way from one loop to another with all that belongs to it.
 */
struct router_arrival {
    int socket;
    struct tls_session *tls; /* after its handshake; NULL: it has none behind it */
    struct buffer read;      /* from it, already; plain */
};

/* Takes a connection, and all that `arrival` owns. */
void router_link_accept(struct router_link *link, struct router_link_host *host, void *owner,
                        struct router_arrival *arrival, const struct router_link_events *events);

/* During `hello`: fills in what router_link_accept on another loop needs, with another descriptor
 * of the link's socket. The link is to be closed. False where it cannot go. */
bool router_link_depart(struct router_link *link, struct router_arrival *arrival);

/* Frees one that nobody takes. */
void router_arrival_deinit(struct router_arrival *arrival);

/* Sends a frame at the end of this iteration. Nothing happens on a link that is not ready. */
void router_link_send(struct router_link *link, const struct router_frame *frame);

/* Closes with a reason for the log; with a code, the other side is told. Harmless if it is closing.
 */
void router_link_close(struct router_link *link, const char *reason);
void router_link_refuse(struct router_link *link, enum router_error code, const char *text);

#endif
