/* Who comes to a channel and goes, and how the bus and those who listen are told; by the rules of
 * the channel's namespace, and what the application says otherwise. */
#include "gateway/client_inside.h"

static void override(const struct client_subscription *subscription, enum token_override what,
                     bool *rule)
{
    if (subscription->overridden & 1U << what)
        *rule = subscription->overrides & 1U << what;
}

void client_subscription_override(struct client_subscription *subscription,
                                  const struct token_claims *claims)
{
    for (unsigned i = 0; i < TOKEN_OVERRIDES; i++) {
        subscription->overridden |= (uint8_t)(claims->has_override[i] << i);
        subscription->overrides |= (uint8_t)(claims->override[i] << i);
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
    override(subscription, TOKEN_OVERRIDE_PRESENCE, &space->presence);
    override(subscription, TOKEN_OVERRIDE_JOIN_LEAVE, &space->join_leave);
    override(subscription, TOKEN_OVERRIDE_FORCE_RECOVERY, &space->force_recovery);
    override(subscription, TOKEN_OVERRIDE_FORCE_POSITIONING, &space->force_positioning);
    override(subscription, TOKEN_OVERRIDE_FORCE_PUSH_JOIN_LEAVE, &space->force_push_join_leave);
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
                                subscription->channel_size, &who, is_there);

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

void client_subscription_depart(const struct client_subscription *subscription)
{
    if (subscription->is_present)
        tell_bus(subscription, false);
    if (subscription->is_announced)
        announce(subscription, MESSAGE_LEAVE);
}
