/* What the options of a namespace say, as their table (channel_options.h) fills it. */
#ifndef GATEWAY_CHANNEL_RULES_H
#define GATEWAY_CHANNEL_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* Those for anonymous clients widen the others: an anonymous client may what a client, or a
 * subscriber, may, where the option for anonymous ones is on too. */
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
    uint64_t history_size;            /* 0: messages are not kept */
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
    uint64_t message_size;    /* largest data of a publication; in the configuration, 0 stands for
                                 --max-message-size, in namespaces it never is 0 */
    uint64_t message_rate;    /* publications a second of one client; 0: no limit */
    uint64_t message_burst;
    bool subscribe_proxy; /* the application's backend is asked */
    bool publish_proxy;
};

#endif
