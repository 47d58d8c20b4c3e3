/*
 * The way into a channel: the rules, then the bus (the subscription keeps the channel and is sent
 * nothing, WIRE_NONE), then what was missed (recent.h); the reply tells that, and from that very
 * moment on the subscription has the wire on which new messages come. So the reply and the messages
 * that follow it have neither a hole nor an overlap.
 *
 * What only the way in needs is freed at its end.
 */
#include <string.h>

#include "gateway/client_inside.h"

static struct client_subscription *of_subscription(struct subscription *subscription)
{
    return container_of(subscription, struct client_subscription, subscription);
}

static struct client_subscription *of_catch_up(struct catch_up *catch_up)
{
    return container_of(catch_up, struct way_in, catch_up)->subscription;
}

void client_forget_way_in(struct client_subscription *subscription)
{
    if (!subscription->way_in)
        return;
    recent_forget(&subscription->way_in->catch_up);
    memory_free(subscription->way_in->data);
    memory_free(subscription->way_in);
    subscription->way_in = NULL;
}

void client_subscription_wish(struct client_subscription *subscription,
                              const struct channel_rules *rules,
                              const struct client_subscribe_request *request)
{
    struct way_in *way_in = subscription->way_in;
    bool wants_recovery = request && (request->recoverable || request->recover);

    way_in->is_recoverable = rules->force_recovery || (rules->allow_recovery && wants_recovery);
    way_in->is_positioned = way_in->is_recoverable || rules->force_positioning ||
                            (rules->allow_positioning && request && request->positioned);
    way_in->takes_joins =
        rules->join_leave && (rules->force_push_join_leave || (request && request->join_leave));
    way_in->is_delta = rules->delta && request && text_is(request->delta, "fossil");
    if (!way_in->is_recoverable || !request || !request->recover)
        return;
    way_in->is_recovering = true;
    if (request->epoch.size > MESSAGE_EPOCH_LIMIT)
        return; /* it is none of ours, and so nothing can be recovered */
    way_in->catch_up.has_position = true;
    way_in->catch_up.offset = request->offset;
    memcpy(way_in->catch_up.epoch, request->epoch.size > 0 ? request->epoch.data : "",
           request->epoch.size);
}

struct client_subscribe_result
client_subscription_result(const struct client_subscription *subscription,
                           const struct missed *missed, struct arena *arena)
{
    const struct way_in *way_in = subscription->way_in;
    struct client_subscribe_result result = {
        .expires = subscription->expires_at_s > 0,
        .ttl_s = subscription->expires_at_s > 0 ? client_ttl_s(subscription->expires_at_s) : 0,
        .recoverable = way_in->is_recoverable,
        .positioned = way_in->is_positioned,
        .was_recovering = way_in->is_recovering,
        .recovered = way_in->is_recovering && missed->is_recovered,
        .data = client_text(way_in->data),
        .delta = way_in->is_delta,
    };

    if (way_in->is_recoverable || way_in->is_positioned) {
        result.epoch = text_of(missed->epoch);
        result.offset = missed->offset;
    }
    if (result.recovered) {
        result.publications = client_publications_of(missed->messages, missed->message_count,
                                                     way_in->is_delta, arena);
        result.publication_count = missed->message_count;
    }
    return result;
}

void client_subscription_begin(struct client_subscription *subscription)
{
    uint8_t wire = wire_of_client(subscription->client->transport,
                                  subscription->way_in->is_delta ? DELTA_FIRST : DELTA_NONE,
                                  subscription->way_in->takes_joins);

    client_forget_way_in(subscription);
    subscription->stage = SUBSCRIPTION_ON;
    channel_change_wire(&subscription->subscription, wire);
    client_subscription_arrive(subscription);
}

/* A push has no room for what was missed, which follows it therefore. */
static void push(const struct client_subscription *subscription,
                 const struct client_subscribe_result *result)
{
    struct client *client = subscription->client;

    client_push_subscribe(client_replies(client), client_format(client),
                          client_channel(subscription), result);
    for (size_t i = 0; i < result->publication_count; i++)
        client_push_publication(client_replies(client), client_format(client),
                                client_channel(subscription), &result->publications[i]);
}

static void tell(struct client_subscription *subscription, const struct missed *missed)
{
    struct client *client = client_ref(subscription->client);
    struct arena arena;

    arena_init(&arena, ARENA_UNLIMITED);

    struct client_subscribe_result result =
        client_subscription_result(subscription, missed, &arena);

    if (subscription->is_of_server)
        push(subscription, &result);
    else
        client_write_subscribed(client_replies(client), client_format(client),
                                subscription->way_in->id, &result);
    arena_deinit(&arena);
    client_subscription_begin(subscription);
    client_send(client);
    client_unref(client);
}

static void on_caught_up(struct catch_up *catch_up, const struct missed *missed)
{
    struct client_subscription *subscription = of_catch_up(catch_up);

    if (missed->error) {
        client_subscription_give_up(subscription, client_error_of(missed->error));
    } else if (subscription->way_in->is_of_connect &&
               subscription->client->stage == CLIENT_CONNECTING) {
        subscription->stage = SUBSCRIPTION_READY;
        client_joined(subscription->client);
    } else {
        tell(subscription, missed);
    }
}

static struct recent *recent_of(struct client_subscription *subscription)
{
    struct channel *channel = subscription->subscription.channel;
    struct recent *recent = channel_recent(channel);

    if (!recent) {
        recent = recent_create(&subscription->client->host->recents, subscription->channel,
                               subscription->entry.key_size);
        channel_set_recent(channel, recent);
    }
    return recent;
}

void client_subscription_look(struct client_subscription *subscription,
                              void (*done)(struct catch_up *catch_up, const struct missed *missed))
{
    struct recent *recent = recent_of(subscription);
    struct catch_up *catch_up = &subscription->way_in->catch_up;
    struct missed missed = {.messages = NULL};

    catch_up->done = done;
    recent_catch_up(recent, catch_up);
    if (recent_is_waiting(catch_up)) {
        /* What is kept reaches no longer; it is told that it missed something. */
        recent_forget(catch_up);
        recent_position(recent, &missed.epoch, &missed.offset);
        done(catch_up, &missed);
    }
}

static void catch_up(struct client_subscription *subscription)
{
    subscription->stage = SUBSCRIPTION_CATCHING_UP;
    subscription->way_in->catch_up.done = on_caught_up;
    recent_catch_up(recent_of(subscription), &subscription->way_in->catch_up);
}

void client_opened(struct subscription *subscription, int error)
{
    struct client_subscription *of_client = of_subscription(subscription);

    if (of_client->stage != SUBSCRIPTION_OPENING)
        return;
    if (error)
        client_subscription_give_up(of_client, client_error_of(error));
    else
        catch_up(of_client);
}

void client_subscription_go_in(struct client_subscription *subscription)
{
    struct channels *channels = &subscription->client->host->channels;

    subscription->stage = SUBSCRIPTION_OPENING;
    if (channels_join(channels, subscription->channel, subscription->entry.key_size,
                      &subscription->subscription, subscription->client->session,
                      WIRE_NONE) == CHANNEL_OPEN)
        catch_up(subscription);
}
