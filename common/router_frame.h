/*
 * The frames of proto/router.proto as our code sees them, and their way to bytes and back. What is
 * read has been checked: channels have channel names, routers printable ones, epochs and lists keep
 * their limits, envelopes are messages. Pure: no I/O. Framing (length prefixes) is in framing.h.
 */
#ifndef COMMON_ROUTER_FRAME_H
#define COMMON_ROUTER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/envelope.h"
#include "common/message.h"

#define ROUTER_VERSION        1
#define ROUTER_NAME_LIMIT     255 /* bytes of a router's name or address */
#define ROUTER_TEXT_LIMIT     255 /* of an error's text */
#define ROUTER_MEMBER_LIMIT   64
#define ROUTER_PRODUCER_LIMIT 1024
#define ROUTER_OWNING_LIMIT   1024 /* channels in one FRAME_OWNING */
#define ROUTER_NONCE_BYTES    32
#define ROUTER_MESSAGE_LIMIT  ((size_t)64 * 1024 * 1024) /* of data, whatever a node's own limit */
/* How long the key of a message is known. */
#define ROUTER_KEY_WINDOW_MS ((uint64_t)5 * 60 * 1000)
#define ROUTER_CLIENT_LIMIT  64 /* bytes of a client's id, */
#define ROUTER_USER_LIMIT    255
#define ROUTER_INFO_LIMIT    4096
#define ROUTER_SIZE_LIMIT    ((uint64_t)1000000) /* messages of a channel's history */
#define ROUTER_TTL_LIMIT_MS  ((uint64_t)366 * 24 * 60 * 60 * 1000)
#define ROUTER_PIECE_LIMIT   512 /* of the entries or messages in one frame of an answer, */
#define ROUTER_PIECE_BYTES   ((size_t)64 * 1024) /* and of their bytes, but for a single one */
/* Of a frame that carries no message, and of any other beside a message's data. */
#define ROUTER_OVERHEAD_BYTES ((size_t)512 * 1024)

/* The numbers are those of the fields in proto/router.proto. */
enum router_frame_kind {
    FRAME_HELLO = 1,
    FRAME_WELCOME,
    FRAME_PROOF,
    FRAME_READY,
    FRAME_ERROR,
    FRAME_PING,
    FRAME_PONG,
    FRAME_MEMBERS,

    FRAME_SUBSCRIBE = 16,
    FRAME_SUBSCRIBED,
    FRAME_UNSUBSCRIBE,
    FRAME_PUBLISH,
    FRAME_ACK,
    FRAME_REFUSED,
    FRAME_DELIVER,
    FRAME_MOVED,
    FRAME_PRESENCE_SET,
    FRAME_PRESENCE_REMOVE,
    FRAME_PRESENCE_ASK,
    FRAME_PRESENCE_LIST,
    FRAME_HISTORY_ASK,
    FRAME_HISTORY,
    FRAME_HISTORY_FORGET,
    FRAME_HISTORY_FORGOTTEN,

    FRAME_INQUIRE = 32,
    FRAME_HEAD,
    FRAME_TAKE,
    FRAME_GIVEN,
    FRAME_ENTRY,
    FRAME_MIRROR_OPEN,
    FRAME_MIRROR_HAVE,
    FRAME_MIRRORED,
    FRAME_MIRROR_CLOSE,
    FRAME_MIRROR_CLOSED,
    FRAME_OWNING,
    FRAME_OFFER,
    FRAME_FORGET,
};

enum router_role { ROLE_GATEWAY, ROLE_ROUTER };

/* What a node can do beyond its version; bits. On the wire they have names. */
enum router_capability {
    ROUTER_CAN_PRESENCE = 1,
    ROUTER_CAN_HISTORY = 2,
    ROUTER_CAN_EPHEMERAL = 4, /* messages of an ephemeral kind */
    ROUTER_CAN_KEYS = 8,
    ROUTER_CAN_LIMITS = 16,
    ROUTER_CAN_FORGET = 32,
};

/* All that this program can do. */
#define ROUTER_CAPABILITIES                                                                        \
    ((unsigned)ROUTER_CAN_PRESENCE | ROUTER_CAN_HISTORY | ROUTER_CAN_EPHEMERAL | ROUTER_CAN_KEYS | \
     ROUTER_CAN_LIMITS | ROUTER_CAN_FORGET)

enum router_error {
    ROUTER_ERROR_OTHER,
    ROUTER_ERROR_VERSION,
    ROUTER_ERROR_SECRET,
    ROUTER_ERROR_SHARDS,
    ROUTER_ERROR_PROTOCOL,
    ROUTER_ERROR_TWICE,
    ROUTER_ERROR_SELF,
    ROUTER_ERROR_LEAVING,
    ROUTER_ERROR_CLUSTER,
};

enum router_reason { REASON_MOVED, REASON_GAP, REASON_BUSY, REASON_INVALID };

enum router_outcome { OUTCOME_CONTINUED, OUTCOME_LOST };

enum router_head { HEAD_NONE, HEAD_COPY, HEAD_REFUSED };

/* What a copy of a channel is; router/place.h tells what it means. */
struct router_lineage {
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t generation;
    char previous[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t fork;
    uint64_t offset; /* of the newest message */
};

struct router_producer {
    uint64_t publisher;
    uint64_t sequence;
    uint64_t offset;
};

/* What a message says of its channel's history. What was read is at most ROUTER_SIZE_LIMIT messages
 * and ROUTER_TTL_LIMIT_MS, and keeps nothing where either is 0. */
struct router_limits {
    bool are_set; /* else the router's own settings count */
    uint64_t history_size;
    uint64_t history_ttl_ms;
};

struct router_member {
    uint64_t node;
    const char *name;
    const char *address;
    bool is_leaving;
};

/* Somebody who is on a channel. */
struct router_present {
    const char *client;
    size_t client_size;
    const char *user;
    size_t user_size;
    const unsigned char *info;
    size_t info_size;
};

struct router_producers {
    const struct router_producer *items;
    size_t count;
};

struct router_frame {
    enum router_frame_kind kind;
    const char *channel; /* of frames that concern one; not zero-terminated */
    size_t channel_size;
    union {
        struct {
            uint32_t version;
            unsigned capabilities; /* those that we know of */
            uint64_t node;
            enum router_role role; /* FRAME_HELLO only, as are shard and address */
            const char *name;
            const char *cluster; /* empty: the one by default */
            uint32_t shard;
            uint32_t shards;
            uint64_t message_limit;     /* 0: it was not said */
            const unsigned char *nonce; /* ROUTER_NONCE_BYTES */
            const char *address;
            const unsigned char *proof; /* FRAME_WELCOME only */
            size_t proof_size;
        } hello; /* and FRAME_WELCOME */
        struct {
            const unsigned char *data;
            size_t size;
        } proof;
        struct {
            enum router_error code;
            const char *text;
        } error;
        struct {
            uint64_t time;
        } ping; /* and FRAME_PONG */
        struct {
            const struct router_member *items;
            size_t count;
        } members;

        struct {
            const char *epoch;
            uint64_t offset;
            bool insist;
            uint64_t acknowledged; /* a sequence, or 0 */
        } subscribe;
        struct {
            const char *epoch;
            uint64_t offset;
            enum router_outcome outcome;
        } subscribed;
        struct {
            struct message *message;
            uint64_t after;
            bool insist;
            struct router_limits limits;
        } publish;
        struct {
            uint64_t sequence;
            const char *epoch;
            uint64_t offset;
            bool is_repeat;
        } ack;
        struct {
            uint64_t sequence;
            enum router_reason reason;
            uint64_t node;
            uint64_t request; /* of a presence or history frame; 0: of none */
        } refused;
        struct {
            struct message *message;
            struct router_limits limits; /* FRAME_ENTRY only */
        } deliver;                       /* and FRAME_ENTRY */
        struct {
            uint64_t node;
        } moved;
        struct {
            uint64_t request;
            struct router_present who; /* of FRAME_PRESENCE_REMOVE only the client */
        } presence;
        struct {
            uint64_t request;
            bool insist;
        } presence_ask; /* and FRAME_HISTORY_FORGET */
        struct {
            uint64_t request;
        } history_forgotten;
        struct {
            uint64_t request;
            const struct router_present *items;
            size_t count;
            bool has_more;
        } presence_list;
        struct {
            uint64_t request;
            const char *epoch;
            uint64_t offset;
            uint64_t limit;
            bool is_reverse;
            bool insist;
        } history_ask;
        struct {
            uint64_t request;
            const char *epoch;
            uint64_t offset;
            enum router_outcome outcome;
            struct message *const *messages;
            size_t count;
            bool has_more;
            const char *previous; /* the epoch before, of which positions up to `fork` are good */
            uint64_t fork;
        } history;

        struct {
            uint64_t claim;
            bool insist;
            const uint64_t *nodes;
            size_t node_count;
        } inquire;
        struct {
            uint64_t claim;
            enum router_head state;
            struct router_lineage lineage;
            bool has_title;
            uint64_t node;
        } head;
        struct {
            uint64_t claim;
            const char *epoch;
            uint64_t offset;
        } take;
        struct {
            uint64_t claim; /* FRAME_GIVEN only, as is has_title */
            struct router_lineage lineage;
            bool has_title;
            uint64_t start; /* entries follow from the one after this offset on */
            struct router_producers producers;
            uint64_t forgotten; /* what is up to here is not kept */
        } given;                /* and FRAME_MIRROR_OPEN */
        struct {
            const char *epoch;
            uint64_t offset;
            bool is_refused; /* FRAME_MIRROR_HAVE only, as is node */
            uint64_t node;
        } mirrored; /* and FRAME_MIRROR_HAVE; of FRAME_FORGET epoch and offset */
        struct {
            bool forget;
        } mirror_close;
        struct {
            char *const *channels; /* zero-terminated */
            size_t count;
        } owning;
    };
    void *storage; /* what router_frame_release frees */
    void *list;
};

/* Appends a frame's bytes, without a length prefix. */
void router_frame_append(struct buffer *output, const struct router_frame *frame);

/*
 * Reads a frame. Returns 0 and a frame that points into memory of its own, to be given back with
 * router_frame_release; UV_ENOSYS for a kind that is not known, which is to be skipped; or
 * UV_EPROTO where the bytes are no frame or break a limit (a message may have `data_limit` bytes).
 * The bytes need not outlive the call.
 */
int router_frame_read(const void *bytes, size_t size, size_t data_limit,
                      struct router_frame *frame);

void router_frame_release(struct router_frame *frame);

/* Reads a FRAME_PUBLISH whose message has more than `data_limit` bytes, or the beginning of one
 * (framing.h cuts such frames): who published it is to be told. False where it is no such frame. */
bool router_frame_read_large(const void *bytes, size_t size, size_t data_limit,
                             struct envelope_large *large);

#endif
