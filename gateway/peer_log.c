#include "gateway/peer_log.h"

#include <stdio.h>

#include "common/log.h"
#include "common/log_limit.h"
#include "gateway/websocket.h"

static struct offence {
    uint16_t code;
    struct log_limit limit;
} offences[] = {
    {.code = WEBSOCKET_CLOSE_PROTOCOL_ERROR}, {.code = WEBSOCKET_CLOSE_BAD_DATA},
    {.code = WEBSOCKET_CLOSE_POLICY},         {.code = WEBSOCKET_CLOSE_TOO_BIG},
    {.code = WEBSOCKET_CLOSE_TRY_LATER},
};

void peer_address(struct peer peer, char text[ADDRESS_TEXT_LIMIT])
{
    if (peer.client) {
        snprintf(text, ADDRESS_TEXT_LIMIT, "%s", peer.client);
        return;
    }

    struct sockaddr_storage address = {0}; /* of no family that prints */
    int size = sizeof(address);

    uv_tcp_getpeername(&peer.stream->uv.tcp, (struct sockaddr *)&address, &size);
    address_format((const struct sockaddr *)&address, text);
}

void peer_log_opened(struct peer peer)
{
    char address[ADDRESS_TEXT_LIMIT];

    if (!log_is_written(LOG_DEBUG))
        return;
    peer_address(peer, address);
    log_event(LOG_DEBUG, log_name("connection opened"),
              log_number("connection", (int64_t)peer.connection), log_text("address", address));
}

void peer_log_refused(struct peer peer, int status, const char *reason, uint64_t now_ms)
{
    static struct log_limit limit;
    char address[ADDRESS_TEXT_LIMIT];
    uint64_t left_out;

    if (!log_limit_pass(&limit, now_ms, &left_out))
        return;
    peer_address(peer, address);
    log_event(LOG_INFO, log_name("refused"), log_number("connection", (int64_t)peer.connection),
              log_text("address", address), log_number("status", status),
              log_text("reason", reason), log_number("left_out", (int64_t)left_out));
}

void peer_log_ended(struct peer peer, const char *reason)
{
    char address[ADDRESS_TEXT_LIMIT];

    if (!log_is_written(LOG_DEBUG))
        return;
    peer_address(peer, address);
    log_event(LOG_DEBUG, log_name("connection ended"),
              log_number("connection", (int64_t)peer.connection), log_text("address", address),
              log_text("reason", reason));
}

static struct offence *find_offence(uint16_t code)
{
    for (size_t i = 0; i < sizeof(offences) / sizeof(offences[0]); i++) {
        if (offences[i].code == code)
            return &offences[i];
    }
    return NULL;
}

void peer_log_closing(struct peer peer, uint16_t code, const char *reason, uint64_t now_ms)
{
    struct offence *offence = find_offence(code);
    enum log_level level = LOG_DEBUG;
    char address[ADDRESS_TEXT_LIMIT];
    uint64_t left_out = 0;

    if (offence && log_limit_pass(&offence->limit, now_ms, &left_out))
        level = LOG_INFO;
    if (!log_is_written(level))
        return;
    peer_address(peer, address);
    log_event(level, log_name("closing"), log_number("connection", (int64_t)peer.connection),
              log_text("address", address), log_number("code", code), log_text("reason", reason),
              log_number("left_out", (int64_t)left_out));
}

void peer_log_proxy_error(struct peer peer, const char *reason, uint64_t now_ms)
{
    static struct log_limit limit;
    char address[ADDRESS_TEXT_LIMIT];
    uint64_t left_out;

    if (!log_limit_pass(&limit, now_ms, &left_out))
        return;
    peer_address(peer, address);
    log_event(LOG_WARNING, log_name("closing, no PROXY header"),
              log_number("connection", (int64_t)peer.connection), log_text("address", address),
              log_text("reason", reason), log_number("left_out", (int64_t)left_out));
}

static void tell(struct log_limit *limit, const char *event, struct peer peer, const char *reason,
                 uint64_t now_ms)
{
    char address[ADDRESS_TEXT_LIMIT];
    uint64_t left_out = 0;
    enum log_level level = log_limit_pass(limit, now_ms, &left_out) ? LOG_INFO : LOG_DEBUG;

    if (!log_is_written(level))
        return;
    peer_address(peer, address);
    log_event(level, log_name(event), log_number("connection", (int64_t)peer.connection),
              log_text("address", address), log_text("reason", reason),
              log_number("left_out", (int64_t)left_out));
}

void peer_log_tls(struct peer peer, const char *reason, uint64_t now_ms)
{
    static struct log_limit limit;

    tell(&limit, "no TLS handshake", peer, reason, now_ms);
}

void peer_log_stray_tls(struct peer peer, uint64_t now_ms)
{
    static struct log_limit limit;

    tell(&limit, "TLS on the port without", peer, "see --tls-listen", now_ms);
}
