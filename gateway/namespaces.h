/*
 * What may be done on which channel, and by whom. A channel `chat:room` belongs to the namespace
 * `chat`; one without a colon to the default namespace, whose options stand at the top of the
 * config file (and on the command line), while those of others stand in a section of theirs:
 *
 *     allow-publish-for-client = on
 *     [namespace chat]
 *     history-size = 100
 *
 * Immutable once loaded; part of `struct settings`, so every thread reads it without a lock.
 */
#ifndef GATEWAY_NAMESPACES_H
#define GATEWAY_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/text.h"
#include "gateway/client_protocol.h"

#define NAMESPACE_NAME_LIMIT 64
#define NAMESPACES_LIMIT     256

/* The options of a namespace, as its table fills them. */
struct channel_rules {
    bool allow_subscribe_for_client;
    bool allow_subscribe_for_anonymous;
    bool allow_publish_for_client;
    bool allow_publish_for_subscriber;
    bool allow_publish_for_anonymous;
    bool allow_history_for_client;
    bool allow_history_for_subscriber;
    bool allow_history_for_anonymous;
    bool allow_presence_for_client;
    bool allow_presence_for_subscriber;
    bool allow_presence_for_anonymous;
    bool allow_user_limited_channels; /* name#user1,user2 */
    uint64_t history_size;
    uint64_t history_ttl_ms;
    bool presence;
    bool join_leave;            /* are published where a subscriber asks for them */
    bool force_push_join_leave; /* and are sent to all */
    bool allow_positioning;     /* where a subscriber asks for it */
    bool force_positioning;
    bool allow_recovery;
    bool force_recovery;
    bool delta;               /* fossil, where a subscriber asks for it */
    uint64_t max_subscribers; /* on this gateway; 0: no limit */
    uint64_t message_size;    /* largest data of a publication; 0: as --max-message-size */
    uint64_t message_rate;    /* publications a second of one client; 0: as --message-rate */
    uint64_t message_burst;
    bool subscribe_proxy; /* the application's backend is asked */
    bool publish_proxy;
};

struct namespaces;

/* The rules of a channel's namespace; NULL where there is no such namespace (error 102). */
const struct channel_rules *namespaces_find(const struct namespaces *namespaces,
                                            struct text channel);

enum channel_act { CHANNEL_SUBSCRIBE, CHANNEL_PUBLISH, CHANNEL_HISTORY, CHANNEL_PRESENCE };

/* Who wants to act. */
struct actor {
    struct text user;   /* empty: anonymous */
    bool is_subscriber; /* of that channel */
    bool has_token;     /* a valid one for that channel, or the application's word */
};

/* What is special about a channel's name, beside its namespace. */
enum channel_privacy {
    CHANNEL_FOR_ALL,
    CHANNEL_FOR_TOKEN, /* begins with --private-prefix: takes a token */
    CHANNEL_FOR_USERS, /* name#user1,user2, where the rules know such */
    CHANNEL_PERSONAL,  /* --personal-prefix and the user's name: `#ann` */
};

/* 0, or the error that the client is told: CLIENT_ERROR_PERMISSION_DENIED,
 * CLIENT_ERROR_UNKNOWN_CHANNEL, CLIENT_ERROR_BAD_REQUEST for no name of a channel. */
int namespaces_check(const struct namespaces *namespaces, struct text channel, enum channel_act act,
                     const struct actor *actor);

#endif
