/*
 * When something is over: the time to connect, a connection, a subscription.
 *
 * What is over at `expires_at_s` by the clock of whoever said so ends after the leeway and the
 * grace. The leeway: for so long the same token is let in, so that one that comes late in it would
 * be sent away before it could ask for another, come back, and so on. The grace: SDKs ask at its
 * end, and again where the answer is late.
 */
#include <time.h>

#include "gateway/client_inside.h"

#define GRACE_S 25

int64_t client_now_s(void)
{
    return (int64_t)time(NULL);
}

uint32_t client_ttl_s(int64_t expires_at_s)
{
    int64_t left_s = expires_at_s - client_now_s();

    if (left_s <= 0)
        return 1; /* SDKs would refresh without a pause */
    return left_s < UINT32_MAX ? (uint32_t)left_s : UINT32_MAX;
}

static int64_t late_s(const struct client *client, int64_t expires_at_s)
{
    uint64_t leeway_ms = client_settings(client)->config.token_leeway_ms;

    return expires_at_s + (int64_t)(leeway_ms / 1000) + GRACE_S;
}

/* Where the backend refreshes clients it is asked as soon as that; else they may be late. */
static int64_t end_s(const struct client *client)
{
    if (client->expires_at_s == 0 || client_is_refreshing(client))
        return INT64_MAX;
    return client_has_hook(client, HOOK_REFRESH) ? client->expires_at_s
                                                 : late_s(client, client->expires_at_s);
}

struct expiry {
    int64_t now_s;
    int64_t next_s;
    bool is_of_server; /* one that is over is the server's: only a connect brings it back */
};

/* One that is still on its way in is looked at again. */
static void expire(struct map_entry *entry, void *context)
{
    struct client_subscription *subscription =
        container_of(entry, struct client_subscription, entry);
    struct expiry *expiry = context;
    int64_t end_s = late_s(subscription->client, subscription->expires_at_s);

    if (subscription->expires_at_s == 0)
        return;
    if (end_s <= expiry->now_s && subscription->stage == SUBSCRIPTION_ON &&
        subscription->is_of_server)
        expiry->is_of_server = true;
    else if (end_s <= expiry->now_s && subscription->stage == SUBSCRIPTION_ON)
        client_unsubscribe_by_server(subscription, CLIENT_UNSUBSCRIBE_EXPIRED,
                                     client_unsubscribe_text(CLIENT_UNSUBSCRIBE_EXPIRED));
    else if (end_s < expiry->next_s)
        expiry->next_s = end_s;
}

/* Ends those whose time is over; returns when the next one's is, INT64_MAX: never. */
static int64_t expire_subscriptions(struct client *client, int64_t now_s)
{
    struct expiry expiry = {.now_s = now_s, .next_s = INT64_MAX};
    bool was_gathering = client->is_gathering;

    client->is_gathering = true; /* sending may end the client, and with it what is walked here */
    map_each(&client->subscriptions, expire, &expiry);
    client->is_gathering = was_gathering;
    client_send(client);
    if (expiry.is_of_server)
        client_disconnect(client, CLIENT_DISCONNECT_SUB_EXPIRED);
    return expiry.next_s;
}

static void on_expiry(struct waiter *waiter)
{
    struct client *client = container_of(waiter, struct client, expiry);
    int64_t now_s = client_now_s();

    if (client->stage == CLIENT_NEW) {
        client_disconnect(client, CLIENT_DISCONNECT_STALE);
        return;
    }
    if (now_s >= end_s(client)) {
        if (!client_has_hook(client, HOOK_REFRESH)) {
            client_disconnect(client, CLIENT_DISCONNECT_EXPIRED);
            return;
        }
        client_ask_refresh(client);
    }
    client_await_expiry(client);
}

void client_await_expiry(struct client *client)
{
    int64_t now_s = client_now_s();
    int64_t next_s = end_s(client);
    int64_t of_subscriptions_s;

    client_ref(client);
    of_subscriptions_s = expire_subscriptions(client, now_s);
    if (of_subscriptions_s < next_s)
        next_s = of_subscriptions_s;
    if (client->session && next_s < INT64_MAX) {
        int64_t wait_s = next_s > now_s ? next_s - now_s : 1;

        /* The wall clock may be set; it is looked at again within a minute. */
        loop_wait(client->host->loop, &client->expiry,
                  (uint64_t)(wait_s < 60 ? wait_s : 60) * 1000);
    }
    client_unref(client);
}

void client_expiry_begin(struct client *client)
{
    waiter_init(&client->expiry, on_expiry);
    loop_wait(client->host->loop, &client->expiry,
              client_settings(client)->config.handshake_timeout_ms);
}

void client_expiry_end(struct client *client)
{
    loop_cancel(client->host->loop, &client->expiry);
}
