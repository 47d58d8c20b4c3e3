#include "gateway/config.h"

#include <stddef.h>
#include <string.h>

#include "common/address.h"
#include "common/message.h"
#include "common/utf8.h"

#ifndef CARILLON_WEB_ROOT
#define CARILLON_WEB_ROOT "/usr/local/share/carillon/web"
#endif

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

#define AT(member) offsetof(struct config, member)

static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

static const struct option options[] = {
    {.name = "listen", .type = OPTION_TEXT, .offset = AT(listen), .fallback = "0.0.0.0:8000",
     .argument = "HOST:PORT", .group = "Listening", .minimum = 1,
     .help = "Where clients connect: WebSocket on / and /ws, the chat page, /health and /ready."},
    {.name = "admin-listen", .type = OPTION_TEXT, .offset = AT(admin_listen),
     .fallback = "127.0.0.1:8001", .argument = "HOST:PORT", .minimum = 1,
     .help = "Where operators connect: /health, /ready, /metrics. \"off\" opens no such port."},
    {.name = "threads", .type = OPTION_NUMBER, .offset = AT(threads), .fallback = "0",
     .argument = "N", .maximum = 64,
     .help = "Threads that serve clients; 0 means one for each core."},
    {.name = "web-root", .type = OPTION_TEXT, .offset = AT(web_root),
     .fallback = CARILLON_WEB_ROOT, .argument = "DIRECTORY",
     .help = "Directory of the chat page, read at start and on SIGHUP."},
    {.name = "lobby", .type = OPTION_TEXT, .offset = AT(lobby), .fallback = "lobby",
     .argument = "CHANNEL", .minimum = 1, .maximum = MESSAGE_CHANNEL_LIMIT,
     .help = "Channel of clients that name none with ?channel=."},

    {.name = "bus", .type = OPTION_TEXT, .offset = AT(bus), .fallback = "local",
     .argument = "URL", .minimum = 1, .group = "Bus",
     .help = "What connects the gateways: local (this one alone), "
             "redis://[user:password@]host[:port][/db], redis+unix:///path[?db=N]."},
    {.name = "redis-prefix", .type = OPTION_TEXT, .offset = AT(redis_prefix),
     .fallback = "carillon", .argument = "TEXT", .minimum = 1, .maximum = 64,
     .help = "First part of every Redis key, so that several clusters can share a Redis."},
    {.name = "bus-buffer", .type = OPTION_SIZE, .offset = AT(bus_buffer_bytes), .fallback = "16M",
     .argument = "SIZE", .minimum = 64 * KIB, .maximum = 64 * GIB,
     .help = "Messages that wait while the bus is away; a sender beyond it is told (1013)."},
    {.name = "history-size", .type = OPTION_NUMBER, .offset = AT(history_size),
     .fallback = "1000", .argument = "N", .maximum = 1000000,
     .help = "Messages that the bus keeps for each channel. Holes are filled from them; with 0 "
             "there is nothing to fill them from."},
    {.name = "history-ttl", .type = OPTION_TIME, .offset = AT(history_ttl_ms), .fallback = "10m",
     .argument = "TIME", .minimum = SECOND, .maximum = 24 * 366 * HOUR,
     .help = "How long a channel's history is kept after its last message."},
    {.name = "history-memory", .type = OPTION_SIZE, .offset = AT(history_memory_bytes),
     .fallback = "64M", .argument = "SIZE", .maximum = 1024 * GIB,
     .help = "Memory for all histories together on the local bus; the oldest messages go first."},

    {.name = "max-connections", .type = OPTION_NUMBER, .offset = AT(max_connections),
     .fallback = "100000", .argument = "N", .minimum = 1, .maximum = 100000000,
     .group = "Limits",
     .help = "Connections at a time; one more is answered with 503."},
    {.name = "max-connections-per-address", .type = OPTION_NUMBER,
     .offset = AT(max_connections_per_address), .fallback = "0", .argument = "N",
     .maximum = 100000000,
     .help = "Connections of one client address at a time; 0 means no limit, which is right behind "
             "a load balancer."},
    {.name = "max-channels", .type = OPTION_NUMBER, .offset = AT(max_channels),
     .fallback = "100000", .argument = "N", .minimum = 1, .maximum = 100000000,
     .help = "Channels with a client on this gateway; a client of one more is answered with 503."},
    {.name = "max-message-size", .type = OPTION_SIZE, .offset = AT(max_message_size),
     .fallback = "64K", .argument = "SIZE", .minimum = 1, .maximum = 64 * MIB,
     .help = "Largest message of a client; a larger one ends its connection (1009)."},
    {.name = "max-header-size", .type = OPTION_SIZE, .offset = AT(max_header_size),
     .fallback = "8K", .argument = "SIZE", .minimum = 256, .maximum = MIB,
     .help = "Largest HTTP request, line and headers together (414, 431)."},
    {.name = "send-queue-limit", .type = OPTION_SIZE, .offset = AT(send_queue_limit),
     .fallback = "1M", .argument = "SIZE", .minimum = 4 * KIB, .maximum = 4 * GIB,
     .help = "Bytes that may wait for a slow client before it is disconnected (1013)."},
    {.name = "message-rate", .type = OPTION_NUMBER, .offset = AT(message_rate),
     .fallback = "100", .argument = "N", .maximum = 1000000,
     .help = "Messages a second that a client may send before it is disconnected (1008); 0 means "
             "no limit."},
    {.name = "message-burst", .type = OPTION_NUMBER, .offset = AT(message_burst),
     .fallback = "200", .argument = "N", .minimum = 1, .maximum = 1000000,
     .help = "Messages that a client may send at once after having been quiet."},
    {.name = "allow-origin", .type = OPTION_LIST, .offset = AT(allow_origin), .fallback = "*",
     .argument = "ORIGIN,...",
     .help = "Pages that may connect: * (any), same (the page's own host), "
             "https://example.org, https://*.example.org. Others get 403."},

    {.name = "handshake-timeout", .type = OPTION_TIME, .offset = AT(handshake_timeout_ms),
     .fallback = "10s", .argument = "TIME", .minimum = 100, .maximum = HOUR, .group = "Times",
     .help = "For a request to arrive whole, and for an idle HTTP connection (408)."},
    {.name = "ping-interval", .type = OPTION_TIME, .offset = AT(ping_interval_ms),
     .fallback = "25s", .argument = "TIME", .minimum = 100, .maximum = 24 * HOUR,
     .help = "A client that was silent this long is sent a ping."},
    {.name = "pong-timeout", .type = OPTION_TIME, .offset = AT(pong_timeout_ms),
     .fallback = "10s", .argument = "TIME", .minimum = 100, .maximum = HOUR,
     .help = "A client that does not answer a ping for this long is taken for dead."},
    {.name = "close-timeout", .type = OPTION_TIME, .offset = AT(close_timeout_ms),
     .fallback = "5s", .argument = "TIME", .minimum = 100, .maximum = HOUR,
     .help = "For a client to answer a close frame."},
    {.name = "drain-time", .type = OPTION_TIME, .offset = AT(drain_time_ms), .fallback = "5s",
     .argument = "TIME", .maximum = HOUR,
     .help = "On SIGTERM, clients are sent away (1001) spread evenly over this time."},

    {.name = "log-format", .type = OPTION_CHOICE, .offset = AT(log_format), .fallback = "logfmt",
     .argument = "FORMAT", .choices = log_formats, .group = "Log",
     .help = "logfmt or json, one event a line, on stderr."},
    {.name = "log-level", .type = OPTION_CHOICE, .offset = AT(log_level), .fallback = "info",
     .argument = "LEVEL", .choices = log_levels,
     .help = "The least urgent events that are written: error, warning, info, debug."},
};

const struct option_program config_program = {
    .name = "carillon-gateway",
    .summary = "Hands every message that a WebSocket client sends to every client of its channel, "
               "on this gateway and on all others of the same bus.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};

static bool is_channel_name(const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    }
    return utf8_is_valid((const unsigned char *)name, size);
}

const char *config_check(const struct config *config)
{
    struct sockaddr_storage address;

    if (address_parse(config->listen, &address))
        return "--listen: expected a numeric HOST:PORT such as 0.0.0.0:8000";
    if (strcmp(config->admin_listen, "off") != 0 && address_parse(config->admin_listen, &address))
        return "--admin-listen: expected a numeric HOST:PORT such as 127.0.0.1:8001, or \"off\"";
    if (!is_channel_name(config->lobby))
        return "--lobby: a channel name is UTF-8 without control characters";
    if (config->send_queue_limit < config->max_message_size)
        return "--send-queue-limit: must be at least --max-message-size";
    if (config->bus_buffer_bytes < config->max_message_size + 128)
        return "--bus-buffer: must be larger than --max-message-size";
    if (config->message_rate > 0 && config->message_burst < 1)
        return "--message-burst: must be at least 1";
    return NULL;
}
