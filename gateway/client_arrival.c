/* Who comes to a channel and goes, and how the bus and those who listen are told; by the rules of
 * the channel's namespace, and what the application says otherwise. */
#include <string.h>

#include "gateway/client_inside.h"

static void apply(const struct client_subscription *subscription, enum token_override what,
                  bool *rule)
{
    if (subscription->overridden & 1U << what)
        *rule = subscription->overrides & 1U << what;
}

void client_subscription_override(struct client_subscription *subscription,
                                  const bool has_override[TOKEN_OVERRIDES],
                                  const bool override[TOKEN_OVERRIDES])
{
    for (unsigned i = 0; i < TOKEN_OVERRIDES; i++) {
        subscription->overridden |= (uint8_t)(has_override[i] << i);
        subscription->overrides |= (uint8_t)(override[i] << i);
    }
}

const struct channel_rules *
client_subscription_rules(const struct client_subscription *subscription,
                          struct channel_rules *space)
{
    const struct namespaces *namespaces = client_settings(subscription->client)->namespaces;
    const struct channel_rules *rules = namespaces_find(namespaces, client_channel(subscription));

    if (!rules || !subscription->overridden)
        return rules;
    *space = *rules;
    apply(subscription, TOKEN_OVERRIDE_PRESENCE, &space->presence);
    apply(subscription, TOKEN_OVERRIDE_JOIN_LEAVE, &space->join_leave);
    apply(subscription, TOKEN_OVERRIDE_FORCE_RECOVERY, &space->force_recovery);
    apply(subscription, TOKEN_OVERRIDE_FORCE_POSITIONING, &space->force_positioning);
    apply(subscription, TOKEN_OVERRIDE_FORCE_PUSH_JOIN_LEAVE, &space->force_push_join_leave);
    return space;
}

static void tell_bus(const struct client_subscription *subscription, bool is_there)
{
    const struct client *client = subscription->client;
    struct client_info info = client_who(client, subscription);
    struct buffer origin = {0};
    struct bus_present who = {.client = info.client, .user = info.user};

    if (is_there)
        client_origin_write(&origin, &info, NULL, 0);
    who.info = (struct text){(const char *)origin.data, origin.size};

    struct presence_command *command =
        presence_command_create(client->host->channels.worker, subscription->channel,
                                subscription->entry.key_size, &who, is_there);

    inbox_post(client->host->channels.hub, &command->command.item);
    buffer_deinit(&origin);
}

/* Published like a message, but neither kept nor counted. One that goes with its connection has no
 * session to wait for the answer, and needs none. */
static void announce(const struct client_subscription *subscription, enum message_kind kind)
{
    const struct client *client = subscription->client;
    struct client_info info = client_who(client, subscription);
    struct buffer origin = {0};

    client_origin_write(&origin, &info, NULL, 0);

    struct message_draft draft = {
        .kind = kind,
        .channel = client_channel(subscription),
        .origin = {(const char *)origin.data, origin.size},
    };

    session_announce(client->host, &draft);
    buffer_deinit(&origin);
}

void client_subscription_arrive(struct client_subscription *subscription)
{
    struct channel_rules space;
    const struct channel_rules *rules = client_subscription_rules(subscription, &space);

    if (rules && rules->presence) {
        subscription->is_present = true;
        tell_bus(subscription, true);
    }
    if (rules && rules->join_leave) {
        subscription->is_announced = true;
        announce(subscription, MESSAGE_JOIN);
    }
}

/* Takes the info of a token or of the backend; false: it says none, or the same. */
static bool replace(char **info, struct token_claims *claims)
{
    if (!claims->info || (*info && strcmp(*info, claims->info) == 0))
        return false;
    memory_free(*info);
    *info = claims->info;
    claims->info = NULL;
    return true;
}

static void tell_again(struct map_entry *entry, void *context)
{
    const struct client_subscription *subscription =
        container_of(entry, struct client_subscription, entry);

    (void)context;
    if (subscription->is_present)
        tell_bus(subscription, true);
}

void client_take_info(struct client *client, struct token_claims *claims)
{
    if (replace(&client->info, claims))
        map_each(&client->subscriptions, tell_again, NULL);
}

void client_subscription_take_info(struct client_subscription *subscription,
                                   struct token_claims *claims)
{
    if (replace(&subscription->info, claims))
        tell_again(&subscription->entry, NULL);
}

void client_subscription_depart(const struct client_subscription *subscription)
{
    if (subscription->is_present)
        tell_bus(subscription, false);
    if (subscription->is_announced)
        announce(subscription, MESSAGE_LEAVE);
}
