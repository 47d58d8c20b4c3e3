/*
 * A check asks two things: whether the name lets this one near the channel at all (the barrier),
 * and then whether the namespace allows the act. The barrier comes first, since the rules of the
 * default namespace allow everything, and a channel for ann must not be read by whoever asks for
 * its history.
 */
#include "gateway/namespaces.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "gateway/client_protocol.h"
#include "gateway/config.h"

#define NAMESPACE_BOUNDARY ':'
#define USER_BOUNDARY      '#'
#define USER_SEPARATOR     ','

struct named_rules {
    char name[OPTION_SECTION_NAME_LIMIT + 1];
    struct channel_rules rules;
};

struct namespaces {
    struct channel_rules rules; /* of the default one */
    struct text private_prefix;
    struct text personal_prefix;
    size_t count;
    struct named_rules items[]; /* sorted by name */
};

static struct channel_rules settle_rules(const struct channel_rules *rules,
                                         const struct config *config)
{
    struct channel_rules settled = *rules;

    if (settled.message_size == 0)
        settled.message_size = config->max_message_size;
    return settled;
}

static struct text copy_text(const char *text)
{
    size_t size = strlen(text);

    return (struct text){memory_copy_text(text, size), size};
}

static int compare_names(const void *left, const void *right)
{
    const struct named_rules *one = left;
    const struct named_rules *other = right;

    return strcmp(one->name, other->name);
}

struct namespaces *namespaces_create(const struct config *config)
{
    const struct option_sections *sections = &config->namespaces;
    struct namespaces *namespaces =
        memory_zeroed(1, sizeof(*namespaces) + sections->count * sizeof(namespaces->items[0]));

    namespaces->rules = settle_rules(&config->rules, config);
    namespaces->private_prefix = copy_text(config->private_prefix);
    namespaces->personal_prefix = copy_text(config->personal_prefix);
    namespaces->count = sections->count;
    for (size_t i = 0; i < sections->count; i++) {
        struct named_rules *item = &namespaces->items[i];

        strncpy(item->name, sections->items[i]->name, OPTION_SECTION_NAME_LIMIT);
        item->rules = settle_rules(sections->items[i]->values, config);
    }
    qsort(namespaces->items, namespaces->count, sizeof(namespaces->items[0]), compare_names);
    return namespaces;
}

void namespaces_destroy(struct namespaces *namespaces)
{
    if (!namespaces)
        return;
    memory_free(namespaces->private_prefix.data);
    memory_free(namespaces->personal_prefix.data);
    memory_free(namespaces);
}

/* An empty prefix begins nothing. */
static bool begins_with(struct text text, struct text prefix)
{
    return prefix.size > 0 && text.size >= prefix.size &&
           memcmp(text.data, prefix.data, prefix.size) == 0;
}

static struct text behind(struct text text, size_t size)
{
    return (struct text){text.data + size, text.size - size};
}

static bool is_personal(const struct namespaces *namespaces, struct text channel)
{
    return begins_with(channel, namespaces->personal_prefix);
}

static bool is_private(const struct namespaces *namespaces, struct text channel)
{
    return begins_with(channel, namespaces->private_prefix);
}

/* The name of the channel's namespace; empty: the default one. A user's name may hold a colon, and
 * says nothing of the namespace. */
static struct text namespace_name(const struct namespaces *namespaces, struct text channel)
{
    struct text head = channel;

    if (is_personal(namespaces, channel))
        head.size = namespaces->personal_prefix.size;
    else if (is_private(namespaces, channel))
        head = behind(channel, namespaces->private_prefix.size);

    const char *boundary = head.size > 0 ? memchr(head.data, NAMESPACE_BOUNDARY, head.size) : NULL;

    head.size = boundary ? (size_t)(boundary - head.data) : 0;
    return head;
}

const struct channel_rules *namespaces_find(const struct namespaces *namespaces,
                                            struct text channel)
{
    struct text name = namespace_name(namespaces, channel);
    struct named_rules key = {.name = ""};

    if (name.size == 0 || namespaces->count == 0)
        return &namespaces->rules;
    if (name.size > OPTION_SECTION_NAME_LIMIT || memchr(name.data, '\0', name.size))
        return NULL;
    memcpy(key.name, name.data, name.size);

    const struct named_rules *found = bsearch(&key, namespaces->items, namespaces->count,
                                              sizeof(namespaces->items[0]), compare_names);

    return found ? &found->rules : NULL;
}

static enum channel_privacy privacy_of(const struct namespaces *namespaces,
                                       const struct channel_rules *rules, struct text channel)
{
    if (is_personal(namespaces, channel))
        return CHANNEL_PERSONAL;
    if (is_private(namespaces, channel))
        return CHANNEL_FOR_TOKEN;
    if (rules->allow_user_limited_channels && channel.size > 0 &&
        memchr(channel.data, USER_BOUNDARY, channel.size))
        return CHANNEL_FOR_USERS;
    return CHANNEL_FOR_ALL;
}

enum channel_privacy namespaces_privacy(const struct namespaces *namespaces, struct text channel)
{
    const struct channel_rules *rules = namespaces_find(namespaces, channel);

    return rules ? privacy_of(namespaces, rules, channel) : CHANNEL_FOR_ALL;
}

/* Whether the user is one of those behind the last `#`. */
static bool is_listed(struct text channel, struct text user)
{
    size_t start = channel.size;

    while (start > 0 && channel.data[start - 1] != USER_BOUNDARY)
        start--;

    struct text left = behind(channel, start);

    while (left.size > 0) {
        const char *end = memchr(left.data, USER_SEPARATOR, left.size);
        struct text item = {left.data, end ? (size_t)(end - left.data) : left.size};

        if (text_equals(item, user))
            return true;
        left = behind(left, end ? item.size + 1 : item.size);
    }
    return false;
}

/* Whether the channel's name names the user. */
static bool is_named(const struct namespaces *namespaces, enum channel_privacy privacy,
                     struct text channel, struct text user)
{
    if (user.size == 0)
        return false;
    if (privacy == CHANNEL_PERSONAL)
        return text_equals(behind(channel, namespaces->personal_prefix.size), user);
    return privacy == CHANNEL_FOR_USERS && is_listed(channel, user);
}

/* One who subscribed to a channel for tokens had one. */
static bool is_let_near(enum channel_privacy privacy, bool is_named, enum channel_act act,
                        const struct actor *actor)
{
    if (privacy == CHANNEL_FOR_ALL || actor->has_token)
        return true;
    if (privacy == CHANNEL_FOR_TOKEN)
        return act != CHANNEL_SUBSCRIBE && actor->is_subscriber;
    return is_named;
}

/* What the rules say of one act. */
struct allowance {
    bool for_client;
    bool for_subscriber;
    bool for_anonymous;
};

static struct allowance allowance_of(const struct channel_rules *rules, enum channel_act act)
{
    switch (act) {
    case CHANNEL_SUBSCRIBE:
        return (struct allowance){rules->allow_subscribe_for_client, false,
                                  rules->allow_subscribe_for_anonymous};
    case CHANNEL_PUBLISH:
        return (struct allowance){rules->allow_publish_for_client,
                                  rules->allow_publish_for_subscriber,
                                  rules->allow_publish_for_anonymous};
    case CHANNEL_HISTORY:
        return (struct allowance){rules->allow_history_for_client,
                                  rules->allow_history_for_subscriber,
                                  rules->allow_history_for_anonymous};
    case CHANNEL_PRESENCE:
        return (struct allowance){rules->allow_presence_for_client,
                                  rules->allow_presence_for_subscriber,
                                  rules->allow_presence_for_anonymous};
    }
    return (struct allowance){false, false, false};
}

static bool is_allowed(const struct channel_rules *rules, enum channel_act act,
                       const struct actor *actor)
{
    struct allowance allowance = allowance_of(rules, act);

    return (allowance.for_client || (allowance.for_subscriber && actor->is_subscriber)) &&
           (actor->user.size > 0 || allowance.for_anonymous);
}

static bool is_for_backend(const struct channel_rules *rules, enum channel_act act)
{
    return (act == CHANNEL_SUBSCRIBE && rules->subscribe_proxy) ||
           (act == CHANNEL_PUBLISH && rules->publish_proxy);
}

static bool is_available(const struct channel_rules *rules, enum channel_act act)
{
    return act == CHANNEL_HISTORY    ? rules->history_size > 0 && rules->history_ttl_ms > 0
           : act == CHANNEL_PRESENCE ? rules->presence
                                     : true;
}

int namespaces_check(const struct namespaces *namespaces, struct text channel, enum channel_act act,
                     const struct actor *actor)
{
    if (!channel_name_is_valid(channel.data, channel.size))
        return CLIENT_ERROR_BAD_REQUEST;
    return namespaces_check_by(namespaces, namespaces_find(namespaces, channel), channel, act,
                               actor);
}

int namespaces_check_by(const struct namespaces *namespaces, const struct channel_rules *rules,
                        struct text channel, enum channel_act act, const struct actor *actor)
{
    if (!rules)
        return CLIENT_ERROR_UNKNOWN_CHANNEL;
    if (!is_available(rules, act))
        return CLIENT_ERROR_NOT_AVAILABLE;

    enum channel_privacy privacy = privacy_of(namespaces, rules, channel);
    bool named = is_named(namespaces, privacy, channel, actor->user);

    if (!is_let_near(privacy, named, act, actor))
        return CLIENT_ERROR_PERMISSION_DENIED;
    if (act == CHANNEL_SUBSCRIBE && (actor->has_token || named))
        return 0;
    if (is_for_backend(rules, act))
        return actor->can_wait ? 0 : CLIENT_ERROR_PERMISSION_DENIED;
    return is_allowed(rules, act, actor) ? 0 : CLIENT_ERROR_PERMISSION_DENIED;
}

bool namespaces_asks_backend(const struct namespaces *namespaces, struct text channel,
                             enum channel_act act, const struct actor *actor)
{
    const struct channel_rules *rules = namespaces_find(namespaces, channel);

    if (!rules || !is_for_backend(rules, act))
        return false;
    return act != CHANNEL_SUBSCRIBE ||
           !(actor->has_token ||
             is_named(namespaces, privacy_of(namespaces, rules, channel), channel, actor->user));
}

size_t namespaces_personal_channel(const struct namespaces *namespaces, struct text user,
                                   char channel[CHANNEL_NAME_LIMIT])
{
    struct text prefix = namespaces->personal_prefix;
    size_t size = prefix.size + user.size;

    if (prefix.size == 0 || user.size == 0 || size > CHANNEL_NAME_LIMIT)
        return 0;
    memcpy(channel, prefix.data, prefix.size);
    memcpy(channel + prefix.size, user.data, user.size);
    return channel_name_is_valid(channel, size) ? size : 0;
}
