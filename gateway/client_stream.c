/*
 * A client without a WebSocket: what it is told goes down a stream of HTTP, what it says comes in
 * posts (emulation.h) for the session whose name it was given with the connect reply.
 *
 * Nobody holds back a post as a socket is held back, so while the hub is behind commands wait here,
 * and a client that goes on all the same is sent away.
 */
#include <string.h>

#include "gateway/client_inside.h"
#include "gateway/worker.h"

bool transport_is_stream(enum transport transport)
{
    return transport >= TRANSPORT_STREAM_JSON && transport <= TRANSPORT_EVENTS;
}

void client_stream_begin(struct client *client)
{
    struct session_host *host = client->host;
    struct client_stream *stream = memory_zeroed(1, sizeof(*stream));

    stream->client = client;
    list_init(&stream->held);
    client->stream = stream;
    emulation_write_node(stream->node, host->node);
    emulation_write_session(stream->session, host->channels.worker->index);
    map_insert(&host->clients.by_session, &stream->entry, stream->session, strlen(stream->session));
}

void client_stream_end(struct client *client)
{
    if (!client->stream)
        return;
    map_remove(&client->host->clients.by_session, &client->stream->entry);
    list_remove(&client->stream->held);
    memory_free(client->stream);
    client->stream = NULL;
}

static void hold(struct client *client, const void *data, size_t size)
{
    struct client_stream *stream = client->stream;

    if (client->stage != CLIENT_CONNECTING && list_is_empty(&stream->held))
        list_append(&client->host->clients.held, &stream->held);
    client_hold(client, data, size, CLIENT_DISCONNECT_TOO_MANY_REQUESTS);
}

void client_emulate(struct session_host *host, struct text session, const void *data, size_t size)
{
    struct map_entry *entry = map_find(&host->clients.by_session, session.data, session.size);
    struct client *client;

    if (!entry)
        return;
    client = container_of(entry, struct client_stream, entry)->client;
    if (client->session->is_held)
        return; /* it is being sent away, and what it says is not heard any more */
    client_ref(client);
    if (client->held.size > 0 || !session_may_publish(client->session))
        hold(client, data, size);
    else
        session_message(client->session, WEBSOCKET_TEXT, data, size);
    client_unref(client);
}

/* What one does may end others, so that each is looked for anew. */
void client_streams_go_on(struct session_host *host)
{
    while (!list_is_empty(&host->clients.held)) {
        struct list *first = host->clients.held.next;
        struct client *client = container_of(first, struct client_stream, held)->client;

        if (!session_may_publish(client->session))
            return;
        list_remove(first);
        client_ref(client);
        client_read_held(client);
        client_unref(client);
    }
}
