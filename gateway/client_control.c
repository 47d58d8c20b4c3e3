/*
 * What the application wants done with its clients (gateway/api.h), on the worker that has them. An
 * act names a user, all of whose clients it is for, or one client; it says nothing where there is
 * no such client here, since it may be elsewhere.
 */
#include <string.h>

#include "gateway/client_inside.h"
#include "proto/control.pb-c.h"

typedef void act_on(struct client *client, const void *act);

struct visit {
    const Carillon__Control__Clients *whom;
    act_on *act_on;
    const void *act;
};

static bool is_excepted(const struct client *client, const Carillon__Control__Clients *whom)
{
    for (size_t i = 0; i < whom->n_except; i++) {
        if (strcmp(whom->except[i], client->id) == 0)
            return true;
    }
    return false;
}

static void visit_client(struct client_place *place, void *context)
{
    const struct visit *visit = context;
    struct client *client = container_of(place, struct client, place);

    if (!client->session || is_excepted(client, visit->whom))
        return;
    client_ref(client);
    visit->act_on(client, visit->act);
    client_unref(client);
}

static void each_of(struct session_host *host, const Carillon__Control__Clients *whom,
                    act_on *function, const void *act)
{
    struct visit visit = {whom, function, act};
    struct client_place *place;

    if (!whom || (whom->user[0] == '\0' && whom->client[0] == '\0'))
        return;
    if (whom->client[0] == '\0') {
        clients_each_of_user(&host->clients, text_of(whom->user), visit_client, &visit);
        return;
    }
    place = clients_find(&host->clients, text_of(whom->client));
    if (place && (whom->user[0] == '\0' ||
                  strcmp(whom->user, container_of(place, struct client, place)->user) == 0))
        visit_client(place, &visit);
}

static void disconnect(struct client *client, const void *act)
{
    const Carillon__Control__Disconnect *disconnect = act;

    client_disconnect_as(client, disconnect->code, disconnect->reason);
}

static void refresh(struct client *client, const void *act)
{
    const Carillon__Control__Refresh *refresh = act;

    if (refresh->is_expired) {
        client_disconnect(client, CLIENT_DISCONNECT_EXPIRED);
        return;
    }
    client->expires_at_s = refresh->expire_at_s > 0 ? refresh->expire_at_s : 0;
    client_await_expiry(client);
    if (!client->session || client->stage != CLIENT_CONNECTED)
        return; /* the connect reply will say it */
    client_push_refresh(client_replies(client), client_format(client), client->expires_at_s > 0,
                        client->expires_at_s > 0 ? client_ttl_s(client->expires_at_s) : 0);
    client_send(client);
}

static char *copy_bytes(ProtobufCBinaryData bytes)
{
    return bytes.len > 0 ? memory_copy_text((const char *)bytes.data, bytes.len) : NULL;
}

static void subscribe(struct client *client, const void *act)
{
    const Carillon__Control__Subscribe *subscribe = act;
    struct client_subscribe_request recover = {
        .channel = text_of(subscribe->channel),
        .epoch = text_of(subscribe->epoch),
        .offset = subscribe->offset,
        .recover = true,
    };
    char *info = copy_bytes(subscribe->info);
    char *data = copy_bytes(subscribe->data);
    struct server_subscription wanted = {
        .channel = text_of(subscribe->channel),
        .info = info,
        .data = data,
        .expires_at_s = subscribe->expire_at_s,
        .recover = subscribe->recovers ? &recover : NULL,
        .is_of_connect = client->stage == CLIENT_CONNECTING,
    };

    client_subscribe_by_server(client, &wanted);
    if (subscribe->expire_at_s > 0)
        client_await_expiry(client);
    memory_free(info);
    memory_free(data);
}

/* The connect reply will not tell of it. */
static void leave_out(struct client_subscription *subscription)
{
    struct client *client = subscription->client;

    client_subscription_end(subscription);
    client_joined(client);
}

/* One that is still on its way in is refused, so that whoever asked for it does not wait. */
static void end(struct client_subscription *subscription,
                const Carillon__Control__Unsubscribe *unsubscribe)
{
    if (subscription->stage == SUBSCRIPTION_ON)
        client_unsubscribe_by_server(subscription, unsubscribe->code, unsubscribe->reason);
    else if (subscription->stage == SUBSCRIPTION_READY)
        client_subscription_end(subscription); /* nobody was told of it yet */
    else if (subscription->way_in->is_of_connect &&
             subscription->client->stage == CLIENT_CONNECTING)
        leave_out(subscription);
    else
        client_subscription_give_up(subscription, CLIENT_ERROR_PERMISSION_DENIED);
}

static void end_entry(struct map_entry *entry, void *context)
{
    end(container_of(entry, struct client_subscription, entry), context);
}

static void unsubscribe(struct client *client, const void *act)
{
    const Carillon__Control__Unsubscribe *unsubscribe = act;
    struct client_subscription *subscription;

    if (unsubscribe->channel[0] == '\0') {
        client->is_gathering = true; /* sending may end the client, amid its subscriptions */
        map_each(&client->subscriptions, end_entry, (void *)act);
        client->is_gathering = false;
        client_send(client);
        return;
    }
    subscription = client_subscription_find(client, text_of(unsubscribe->channel));
    if (subscription)
        end(subscription, unsubscribe);
}

void client_control(struct session_host *host, const struct message *message)
{
    Carillon__Control__Control *act =
        carillon__control__control__unpack(NULL, message->data_size, message->data);

    if (!act)
        return;
    switch (act->act_case) {
    case CARILLON__CONTROL__CONTROL__ACT_DISCONNECT:
        each_of(host, act->disconnect->clients, disconnect, act->disconnect);
        break;
    case CARILLON__CONTROL__CONTROL__ACT_UNSUBSCRIBE:
        each_of(host, act->unsubscribe->clients, unsubscribe, act->unsubscribe);
        break;
    case CARILLON__CONTROL__CONTROL__ACT_SUBSCRIBE:
        each_of(host, act->subscribe->clients, subscribe, act->subscribe);
        break;
    case CARILLON__CONTROL__CONTROL__ACT_REFRESH:
        each_of(host, act->refresh->clients, refresh, act->refresh);
        break;
    case CARILLON__CONTROL__CONTROL__ACT_EMULATE:
        client_emulate(host, text_of(act->emulate->session), act->emulate->data.data,
                       act->emulate->data.len);
        break;
    default: /* of a newer gateway */
        break;
    }
    carillon__control__control__free_unpacked(act, NULL);
}
