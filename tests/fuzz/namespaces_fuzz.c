/*
 * Names of channels: the input is a channel and, behind a newline, a user. Whatever they are, a
 * channel that is for somebody is closed to those without a name and to all but those who are
 * named, and a personal channel that is made from a user's name is that user's.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "gateway/client_protocol.h"
#include "gateway/config.h"
#include "gateway/namespaces.h"

static const struct namespaces *load(void)
{
    static struct namespaces *namespaces;
    static struct channel_rules rules;
    static struct option_section section = {.name = "chat", .values = &rules};
    static struct option_section *sections[] = {&section};

    if (namespaces)
        return namespaces;
    rules = (struct channel_rules){
        .allow_subscribe_for_client = true,
        .allow_subscribe_for_anonymous = true,
        .allow_publish_for_client = true,
        .allow_publish_for_anonymous = true,
        .allow_user_limited_channels = true,
    };
    namespaces = namespaces_create(&(struct config){
        .private_prefix = "$",
        .personal_prefix = "#",
        .rules = rules,
        .namespaces = {1, sections},
        .max_message_size = 1,
    });
    return namespaces;
}

/* Whether the user stands in the channel's name behind a `#`, all of it an item of the list. */
static bool is_in_name(struct text channel, struct text user)
{
    for (size_t at = 0; user.size > 0 && at + user.size < channel.size; at++) {
        const char *start = channel.data + at + 1;
        size_t behind = at + 1 + user.size;

        if ((start[-1] == '#' || start[-1] == ',') && memcmp(start, user.data, user.size) == 0 &&
            (behind == channel.size || channel.data[behind] == ','))
            return true;
    }
    return false;
}

static void check_channel(struct text channel, struct text user)
{
    static const enum channel_act acts[] = {CHANNEL_SUBSCRIBE, CHANNEL_PUBLISH};
    const struct namespaces *namespaces = load();
    enum channel_privacy privacy = namespaces_privacy(namespaces, channel);
    struct actor actor = {.user = user};

    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        int result = namespaces_check(namespaces, channel, acts[i], &actor);

        if (!channel_name_is_valid(channel.data, channel.size))
            assert(result == CLIENT_ERROR_BAD_REQUEST);
        else if (!namespaces_find(namespaces, channel))
            assert(result == CLIENT_ERROR_UNKNOWN_CHANNEL);
        else if (privacy == CHANNEL_FOR_ALL)
            assert(result == 0);
        else if (result == 0)
            assert(privacy != CHANNEL_FOR_TOKEN && is_in_name(channel, user));
        else
            assert(result == CLIENT_ERROR_PERMISSION_DENIED);
    }
}

static void check_personal_channel(struct text user)
{
    char channel[CHANNEL_NAME_LIMIT];
    size_t size = namespaces_personal_channel(load(), user, channel);
    struct actor actor = {.user = user};

    if (size > 0)
        assert(namespaces_check(load(), (struct text){channel, size}, CHANNEL_SUBSCRIBE, &actor) ==
               0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t channel_size = end ? (size_t)(end - data) : size;
    struct text channel = {(const char *)data, channel_size};
    struct text user = {(const char *)data + channel_size, 0};

    if (end)
        user = (struct text){(const char *)end + 1, size - channel_size - 1};
    check_channel(channel, user);
    check_personal_channel(user);
    return 0;
}
