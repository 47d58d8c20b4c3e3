/*
 * Who is at the other end, where a proxy stands in between. It says so before the first byte of its
 * client's, in a header of the PROXY protocol, or in the headers of each request, of which those of
 * the handshake count: the connections in which a proxy sends other requests are its own.
 *
 * A PROXY header is plain, with TLS behind it or without. It mostly comes whole. One that comes in
 * pieces is kept in memory of its own, so that nobody else pays for it.
 */
#include <string.h>

#include "common/address.h"
#include "gateway/connection_inside.h"
#include "gateway/peer_log.h"
#include "gateway/proxy_header.h"

static const struct networks *trusted_of(const struct connection *connection)
{
    return &host_of(connection)->sessions.settings->trusted;
}

/* Remembers whose connection it is, for the log. */
static void name_client(struct connection *connection, const struct sockaddr *client)
{
    char text[ADDRESS_TEXT_LIMIT];

    if (address_port(client) > 0)
        address_format(client, text);
    else
        address_format_host(client, text);
    memory_free(connection->client);
    connection->client = memory_copy_text(text, strlen(text));
}

/* Counts the connection under its client's address. False, with the connection refused, where that
 * has its share. */
static bool claim(struct connection *connection, const struct sockaddr *client)
{
    if (connection->address)
        return true; /* it was counted when its peer was no trusted proxy yet */

    enum admission_verdict verdict =
        admission_claim(host_of(connection)->admission, client, &connection->address);

    if (verdict == ADMITTED)
        return true;
    connection_refuse_admission(connection, verdict);
    return false;
}

bool connection_of_proxy(const struct connection *connection, const struct sockaddr_storage *peer)
{
    return networks_contain(trusted_of(connection), (const struct sockaddr *)peer);
}

bool connection_admit_client(struct connection *connection)
{
    const struct proxied *proxied = connection->http->proxied;

    if (!proxied)
        return true;

    const struct sockaddr *client = (const struct sockaddr *)&proxied->forwarded.address;

    name_client(connection, client);
    return claim(connection, client);
}

static void fail(struct connection *connection, const char *reason)
{
    metric_add(&stats_of(connection)->proxy_errors, 1);
    peer_log_proxy_error(connection_peer(connection), reason, loop_now_ms(loop_of(connection)));
    connection_end(connection);
}

void connection_forget_early(struct connection *connection)
{
    if (!connection->early)
        return;
    buffer_deinit(&connection->early->bytes);
    memory_free(connection->early);
    connection->early = NULL;
}

static void keep(struct connection *connection, const unsigned char *data, size_t size)
{
    if (!connection->early)
        connection->early = memory_zeroed(1, sizeof(*connection->early));
    buffer_append(&connection->early->bytes, data, size);
}

/* What came with the header is the client's; where that speaks TLS it has to wait its turn. */
static void go_on(struct connection *connection, const struct sockaddr_storage *peer,
                  const unsigned char *data, size_t size)
{
    if (connection->is_tls) {
        keep(connection, data, size);
        connection->early->peer = *peer;
    }
    connection_begin(connection, peer);
    if (size == 0)
        return;
    if (connection->is_tls) {
        stream_stop(&connection->stream);
        connection_await_turn(connection);
    } else {
        connection_read_http(connection, data, size);
    }
}

/* The header is read, and `data` came with it. Without a `source` it is a connection of the proxy's
 * own. */
static void begin(struct connection *connection, const struct sockaddr_storage *source,
                  const unsigned char *data, size_t size)
{
    struct sockaddr_storage peer = *source;

    if (source->ss_family != AF_UNSPEC) {
        name_client(connection, (const struct sockaddr *)source);
    } else if (find_peer(connection, &peer)) {
        connection_end(connection);
        return;
    }
    if (connection->verdict == ADMITTED && !connection_of_proxy(connection, &peer))
        claim(connection, (const struct sockaddr *)&peer);
    if (connection->state == ACCEPTED)
        go_on(connection, &peer, data, size);
}

void connection_read_proxy_header(struct connection *connection, const unsigned char *data,
                                  size_t size)
{
    size_t kept = connection->early ? connection->early->bytes.size : 0;
    struct sockaddr_storage source;
    int used;

    if (kept > 0) {
        size_t room = PROXY_HEADER_LIMIT - kept;

        keep(connection, data, size < room ? size : room);
        used = proxy_header_read(connection->early->bytes.data, connection->early->bytes.size,
                                 &source);
    } else {
        used = proxy_header_read(data, size, &source);
        if (used == 0)
            keep(connection, data, size);
    }
    if (used == 0)
        return;
    connection_forget_early(connection);
    if (used < 0)
        fail(connection,
             used == UV_E2BIG ? "the PROXY header is too long" : "a PROXY header was expected");
    else
        begin(connection, &source, data + used - kept, size - ((size_t)used - kept));
}

void connection_miss_proxy_header(struct connection *connection)
{
    fail(connection, "the PROXY header took too long to arrive");
}
