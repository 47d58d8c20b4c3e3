/* What the parts of the channel protocol share: client.c, client_connect.c, client_subscribe.c,
 * client_way_in.c, client_publish.c, client_arrival.c, client_expiry.c, client_stream.c,
 * client_hook.c, client_hook_publish.c, client_ask.c. Nobody else includes it. */
#ifndef GATEWAY_CLIENT_INSIDE_H
#define GATEWAY_CLIENT_INSIDE_H

#include "common/memory.h"
#include "gateway/ask.h"
#include "gateway/client.h"
#include "gateway/client_message.h"
#include "gateway/emulation_request.h"
#include "gateway/hook.h"
#include "gateway/hook_message.h"
#include "gateway/token.h"

#define CLIENT_ID_SIZE 22

enum client_stage {
    CLIENT_NEW,        /* must connect */
    CLIENT_CONNECTING, /* and is on the way: its first channels are not there yet */
    CLIENT_CONNECTED,
};

struct connect_reply;
struct client_hooks;

struct client {
    struct session *session; /* NULL: it has gone */
    struct session_host *host;
    unsigned references; /* one of the session; one of each answer that will come */
    enum client_stage stage;
    enum transport transport;
    struct client_place place;
    char id[CLIENT_ID_SIZE + 1];
    char *user;           /* "": anonymous */
    char *info;           /* conn_info, JSON; NULL: none */
    int64_t expires_at_s; /* 0: never */
    struct map subscriptions;
    struct waiter expiry;
    uint32_t connect_id;
    size_t joining;              /* channels that the connect reply waits for */
    size_t asks;                 /* answers under way */
    struct pace pace;            /* of what it publishes where it is not subscribed */
    struct connect_reply *reply; /* while it is being put together */
    bool is_gathering;           /* replies, that go out together at the end of it */
    struct buffer replies;
    struct list reply_link; /* in its worker's `replying` while they wait for the end of the tick */
    struct buffer held;     /* what it sent while it is CONNECTING, or the hub is behind */
    struct client_stream *stream; /* NULL: a WebSocket */
    struct client_hooks *hooks;   /* NULL while there is nothing to keep for the backend */
};

enum subscription_stage {
    SUBSCRIPTION_ASKING,      /* the application's backend */
    SUBSCRIPTION_OPENING,     /* the bus subscribes */
    SUBSCRIPTION_CATCHING_UP, /* and says where the channel stands */
    SUBSCRIPTION_READY,       /* that of a connect, which is told with the others */
    SUBSCRIPTION_ON,
};

/* What is known of a subscription until it is ON: there may be a million that are. */
struct way_in {
    struct catch_up catch_up;
    struct client_subscription *subscription;
    char *data;         /* to be told with it; NULL: none */
    uint32_t id;        /* of the request */
    uint32_t hook;      /* the number of the hook that is to allow it */
    bool is_of_connect; /* the connect reply tells of it */
    bool takes_joins;
    bool is_positioned;
    bool is_recoverable;
    bool is_recovering;
    bool is_delta;
};

struct client_subscription {
    struct subscription subscription;
    struct map_entry entry;
    struct client *client;
    struct way_in *way_in; /* NULL: it is ON */
    int64_t expires_at_s;
    char *info;         /* chan_info, JSON; NULL: none */
    struct pace pace;   /* of what the client publishes here */
    uint8_t stage;      /* enum subscription_stage */
    bool is_of_server;  /* the token or the application wanted it, not the client */
    bool has_token;     /* for this channel, or the application's word */
    bool is_present;    /* the bus was told */
    bool is_announced;  /* and so were those who listen to joins */
    uint8_t overridden; /* bits by enum token_override: not as the namespace has it, */
    uint8_t overrides;  /* but on or off */
    char channel[];     /* with a zero byte behind it */
};

static inline struct client *client_ref(struct client *client)
{
    client->references++;
    return client;
}

static inline enum client_format client_format(const struct client *client)
{
    return transport_format(client->transport);
}

static inline const struct settings *client_settings(const struct client *client)
{
    return client->host->settings;
}

static inline struct text client_text(const char *string)
{
    return string ? text_of(string) : (struct text){NULL, 0};
}

static inline struct text client_channel(const struct client_subscription *subscription)
{
    return (struct text){subscription->channel, subscription->entry.key_size};
}

/* client.c */

void client_unref(struct client *client);

/* Where replies and pushes are written to; client_send sends them, but not amid those that go out
 * together. */
struct buffer *client_replies(struct client *client);
void client_send(struct client *client);

/* Sends them at the end of the tick, or with what is sent before: for what comes in numbers. */
void client_send_soon(struct client *client);

/* It is connected, or what held it up is over: does what it sent meanwhile. */
void client_read_held(struct client *client);

/* What it sent waits for client_read_held; of too much of that the client is told the code. */
void client_hold(struct client *client, const void *data, size_t size, enum client_disconnect code);

void client_refuse(struct client *client, uint32_t id, enum client_error code);
/* What a client is told of a libuv error of the bus. */
enum client_error client_error_of(int error);
void client_refuse_with(struct client *client, uint32_t id, uint32_t code, const char *message,
                        bool is_temporary);

/* The end of it: no call may follow but on the way out. */
void client_disconnect(struct client *client, enum client_disconnect code);

/* The same for a reason of the application's, and with its code (3000 to 4999). */
void client_disconnect_as(struct client *client, uint32_t code, const char *reason);

/* As the application names who this is on a channel; points at the client and the subscription,
 * which may be NULL. */
struct client_info client_who(const struct client *client,
                              const struct client_subscription *subscription);

/* Who wants to act on a channel; NULL where it has no subscription to that. */
struct actor client_actor(const struct client *client,
                          const struct client_subscription *subscription);

/* Counts those of the worker that have said who they are, after a change. */
void client_count(const struct session_host *host);

/* client_expiry.c: when a client, or a subscription of it, is over. By wall time, in seconds since
 * 1970. */

int64_t client_now_s(void);

/* Seconds until a time; 1 where it is over. */
uint32_t client_ttl_s(int64_t expires_at_s);

/* From now on it has --handshake-timeout to connect. */
void client_expiry_begin(struct client *client);

/* It is connected, or some end has moved: ends what is over, which may be the client, and sets the
 * time of the next look. */
void client_await_expiry(struct client *client);

void client_expiry_end(struct client *client);

/* client_stream.c: a client whose commands come beside its connection (emulation.h). */

struct client_stream {
    struct map_entry entry; /* whose key is the session */
    struct list held;       /* in clients.held while commands wait for the hub */
    struct client *client;
    char session[EMULATION_SESSION_LIMIT];
    char node[EMULATION_NODE_SIZE + 1];
};

void client_stream_begin(struct client *client);

/* Harmless for a WebSocket. */
void client_stream_end(struct client *client);

/* client_connect.c */

void client_connect(struct client *client, uint32_t id,
                    const struct client_connect_request *request);
void client_refresh(struct client *client, uint32_t id, const struct client_token_request *request);

/* It is known who the client is: connects it. The claims are taken over. */
void client_let_in(struct client *client, uint32_t id, const struct client_connect_request *request,
                   struct token_claims *claims);

/* A channel of the connect request is there, or not to be had: `subscription` has been freed. */
void client_joined(struct client *client);

/* client_subscribe.c */

struct client_subscription *client_subscription_find(const struct client *client,
                                                     struct text channel);
void client_subscribe(struct client *client, uint32_t id,
                      const struct client_subscribe_request *request);
void client_sub_refresh(struct client *client, uint32_t id,
                        const struct client_token_request *request);
void client_unsubscribe(struct client *client, uint32_t id, struct text channel);

/* The backend allows what was ASKING. */
void client_subscription_allow(struct client_subscription *subscription,
                               const struct client_subscribe_request *request,
                               struct hook_answer *answer);

/* What the application wants a client to listen to; `recover` is what the client knows of it, or
 * NULL. */
struct server_subscription {
    struct text channel;
    const char *info; /* JSON; NULL: none */
    const char *data;
    int64_t expires_at_s;
    const struct client_subscribe_request *recover;
    const struct token_sub
        *token; /* what a token says of it otherwise than its namespace, or NULL */
    bool is_of_connect;
};

void client_subscribe_by_server(struct client *client, const struct server_subscription *wanted);

/* It cannot be had: whoever asked for it is told. Frees it. */
void client_subscription_give_up(struct client_subscription *subscription, enum client_error code);

/* The application, or a loss, ends it; the client is told. */
void client_unsubscribe_by_server(struct client_subscription *subscription, uint32_t code,
                                  const char *reason);

/* Leaves a channel, tells those who listen to it, and frees the subscription. */
void client_subscription_end(struct client_subscription *subscription);
void client_subscriptions_end(struct client *client);

/* client_way_in.c */

/* What the client wants of it, as far as the rules allow. `request` may be NULL. */
void client_subscription_wish(struct client_subscription *subscription,
                              const struct channel_rules *rules,
                              const struct client_subscribe_request *request);

/* It may: goes on until it is told. */
void client_subscription_go_in(struct client_subscription *subscription);

/* What is told of a subscription whose place is known. It points at `missed` and the arena. */
struct client_subscribe_result
client_subscription_result(const struct client_subscription *subscription,
                           const struct missed *missed, struct arena *arena);

/* From now on it is sent what is published; and those who listen are told that it came. */
void client_subscription_begin(struct client_subscription *subscription);

/* What a subscription that is READY has missed by now. `done` is called before this returns. */
void client_subscription_look(struct client_subscription *subscription,
                              void (*done)(struct catch_up *catch_up, const struct missed *missed));

/* It is ON, or given up. */
void client_forget_way_in(struct client_subscription *subscription);

/* client_arrival.c */

/* The rules for it: those of its namespace, NULL where that has gone, and what the application says
 * otherwise, which is put into `space`. */
const struct channel_rules *
client_subscription_rules(const struct client_subscription *subscription,
                          struct channel_rules *space);

/* By enum token_override: what the application says of it otherwise than its namespace. */
void client_subscription_override(struct client_subscription *subscription,
                                  const bool has_override[TOKEN_OVERRIDES],
                                  const bool override[TOKEN_OVERRIDES]);

/* It is there: the bus is told, and those who listen to joins, as the rules say. */
void client_subscription_arrive(struct client_subscription *subscription);

/* What is refreshed may have another info from then on: who asks for presence sees it, and so does
 * who hears what the client publishes. One that is not given stays. The info is taken over. */
void client_take_info(struct client *client, struct token_claims *claims);
void client_subscription_take_info(struct client_subscription *subscription,
                                   struct token_claims *claims);

/* Those who were told so are told that it has gone. */
void client_subscription_depart(const struct client_subscription *subscription);

/* client_publish.c */

void client_publish(struct client *client, uint32_t id,
                    const struct client_publish_request *request);
void client_published(struct session *session, const struct publish_command *command);

/* Publishes what may be published. `subscription` is the client's to that channel, NULL where it
 * has none; `answer` is what the backend says of it, NULL where it was not asked. */
void client_publish_now(struct client *client, const struct client_subscription *subscription,
                        uint32_t id, const struct client_publish_request *request,
                        const struct hook_answer *answer);

/* client_hook.c: the application's backend is asked. An answer whose client has gone is dropped. */

#define CLIENT_HOOKS_LIMIT 64 /* publishes and calls of a client, under way at a time */

/* What is kept of a client for the backend. */
struct client_hooks {
    char *headers; /* of its handshake, as in struct backend_request; NULL: none */
    size_t headers_size;
    char *meta;            /* JSON that the application gave; NULL: none */
    char *greeting;        /* JSON that goes with the connect reply; NULL: none */
    struct list publishes; /* that wait for the backend, or for one before them */
    size_t under_way;      /* publishes and calls */
    uint32_t count;        /* of all subscribe hooks ever */
    bool is_refreshing;
};

/* Made where it is not there yet. */
struct client_hooks *client_hooks(struct client *client);
void client_forget_hooks(struct client *client);
void client_keep_headers(struct client *client, const struct buffer *headers);
void client_forget_greeting(struct client *client);
void client_keep_meta(struct client *client, const struct token_claims *claims);

bool client_has_hook(const struct client *client, enum backend_hook hook);
bool client_is_refreshing(const struct client *client);

/* False, with the client told so, where too much of its is under way already. */
bool client_may_ask_backend(struct client *client, uint32_t id);

/* A question of this client, of which more can be filled in; it points at the client. */
struct hook_question client_hook_question(const struct client *client, enum backend_hook hook);
void client_ask_backend(struct client *client, const struct hook_question *question,
                        void (*answered)(struct hook_command *command), void *owner);

/* What the answer of a hook says; to be freed with hook_answer_deinit. */
void client_read_hook(struct client *client, const struct hook_command *command,
                      struct hook_answer *answer);

/* True where it is no result; the client has been told then. */
bool client_hook_refuses(struct client *client, uint32_t id, const struct hook_answer *answer);

void client_ask_connect(struct client *client, uint32_t id,
                        const struct client_connect_request *request);
void client_ask_refresh(struct client *client);
/* Whether the backend decides on it; one with a token, which has been read, brings the
 * application's word with it. */
bool client_asks_backend(const struct client *client,
                         const struct client_subscribe_request *request);
void client_ask_subscribe(struct client_subscription *subscription,
                          const struct client_subscribe_request *request);
void client_rpc(struct client *client, uint32_t id, const struct client_rpc_request *request);

/* client_hook_publish.c */

void client_ask_publish(struct client *client, uint32_t id,
                        const struct client_publish_request *request);

/* True while a publish on this channel has still to go out before another may. */
bool client_publish_waits(const struct client *client, struct text channel);

/* client_ask.c */

void client_history(struct client *client, uint32_t id,
                    const struct client_history_request *request);
void client_presence(struct client *client, uint32_t id, struct text channel, bool only_counts);

#endif
