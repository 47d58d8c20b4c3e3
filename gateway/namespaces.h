/*
 * What may be done on which channel, and by whom. A channel `chat:room` belongs to the namespace
 * `chat`; one without a colon to the default namespace, whose options stand at the top of the
 * config file (and on the command line), while those of others stand in a section of theirs:
 *
 *     allow-publish-for-client = on
 *     [namespace chat]
 *     history-size = 100
 *
 * Names and rules are those that Centrifugo's users know (its version 6 was read):
 * - The namespace is what stands before the first `:`, after a private prefix: `$chat:room` belongs
 *   to `chat`, `:room` to the default one.
 * - A channel that begins with the private prefix, `$`, takes a subscription token, whatever the
 *   rules allow.
 * - Where the rules know user-limited channels, what stands behind the last `#` are the users,
 *   parted by `,`, who may subscribe without a token, whatever else the rules say; others may not.
 *   Elsewhere `#` is a letter like others.
 * - The options for anonymous clients widen those for clients and subscribers, and allow nothing
 *   alone.
 * - A token for the channel is the application's word, and comes before all of this.
 * - Where subscribe-proxy or publish-proxy is on, the application's backend is asked in place of
 *   the rules, but about nobody whom the name keeps out, or lets in.
 *
 * Where it differs:
 * - What closes a channel to those who would subscribe closes it to those who would publish, or ask
 *   for its history or presence, too. Centrifugo asks the rules alone, which is as good there,
 * where nothing is allowed by default; here everything is, in the default namespace.
 * - Where no namespace is declared at all, `:` is a letter like others.
 * - `#ann` is ann's personal channel even if her name has a comma or a colon, and whether or not
 *   the rules know user-limited channels. There it is a user-limited one.
 * - Nobody is the anonymous user: `room#` is for no user at all.
 *
 * Immutable once loaded; part of `struct settings`, so every thread reads it without a lock.
 */
#ifndef GATEWAY_NAMESPACES_H
#define GATEWAY_NAMESPACES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/channel_name.h"
#include "common/text.h"
#include "gateway/channel_rules.h"

struct config;
struct namespaces;

/* Those of a configuration that passed config_check; keeps nothing of it. What stands in
 * `struct channel_rules` for "as another option" is replaced by that option's value. */
struct namespaces *namespaces_create(const struct config *config);

/* NULL is allowed. */
void namespaces_destroy(struct namespaces *namespaces);

/* The rules of a channel's namespace; NULL where there is no such namespace (error 102). They live
 * as long as `namespaces`. */
const struct channel_rules *namespaces_find(const struct namespaces *namespaces,
                                            struct text channel);

enum channel_act { CHANNEL_SUBSCRIBE, CHANNEL_PUBLISH, CHANNEL_HISTORY, CHANNEL_PRESENCE };

/* Who wants to act. */
struct actor {
    struct text user;   /* empty: anonymous */
    bool is_subscriber; /* of that channel */
    bool has_token;     /* a valid one for that channel, or the application's word */
    bool can_wait;      /* for the application's backend, where it is to be asked */
};

/* What is special about a channel's name, beside its namespace. */
enum channel_privacy {
    CHANNEL_FOR_ALL,
    CHANNEL_FOR_TOKEN, /* begins with --private-prefix: takes a token */
    CHANNEL_FOR_USERS, /* name#user1,user2, where the rules know such */
    CHANNEL_PERSONAL,  /* --personal-prefix and the user's name: `#ann` */
};

/* CHANNEL_FOR_ALL for a channel of no namespace, too. */
enum channel_privacy namespaces_privacy(const struct namespaces *namespaces, struct text channel);

/*
 * 0, or the error that the client is told (enum client_error): CLIENT_ERROR_BAD_REQUEST for no name
 * of a channel, CLIENT_ERROR_UNKNOWN_CHANNEL, CLIENT_ERROR_NOT_AVAILABLE for the history or the
 * presence of a channel that has none, CLIENT_ERROR_PERMISSION_DENIED.
 */
int namespaces_check(const struct namespaces *namespaces, struct text channel, enum channel_act act,
                     const struct actor *actor);

/* The same of a name that is known to be one, by the rules that namespaces_find found for it (NULL
 * likewise): for what is asked of each message. */
int namespaces_check_by(const struct namespaces *namespaces, const struct channel_rules *rules,
                        struct text channel, enum channel_act act, const struct actor *actor);

/* Whether the backend has to allow what namespaces_check did not refuse. */
bool namespaces_asks_backend(const struct namespaces *namespaces, struct text channel,
                             enum channel_act act, const struct actor *actor);

/*
 * Writes the name of the user's personal channel, without a zero byte, and returns its size; 0
 * where there is none: the user is anonymous, the name would be too long, or --personal-prefix is
 * empty.
 */
size_t namespaces_personal_channel(const struct namespaces *namespaces, struct text user,
                                   char channel[CHANNEL_NAME_LIMIT]);

#endif
