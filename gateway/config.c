#include "gateway/config.h"

#include <stddef.h>

#include "common/cluster_name.h"
#include "common/message.h"

#ifndef CARILLON_WEB_ROOT
#define CARILLON_WEB_ROOT "/usr/local/share/carillon/web"
#endif

#define KIB    1024ull
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)
#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

#define AT(member) offsetof(struct config, member)

static const char *const anonymous_choices[] = {"auto", "on", "off", NULL};
static const char *const forwarded_headers[] = {"x-forwarded", "forwarded", NULL};
static const char *const io_uring_choices[] = {"auto", "on", "off", NULL};
static const char *const kernel_tls_choices[] = {"auto", "on", "off", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};

/* Fixed is what is set up once at the start; the bus is, and with it the size of a message. */
/* clang-format off: a row is an option */
static const struct option options[] = {
    {.name = "listen",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(listen),
     .fallback = "0.0.0.0:8000",
     .argument = "HOST:PORT",
     .group = "Listening",
     .minimum = 1,
     .help = "Where clients connect: WebSocket on / and /ws, the chat page, /health and /ready. "
             "\"off\" opens no such port."},
    {.name = "tls-listen",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(tls_listen),
     .fallback = "off",
     .argument = "HOST:PORT",
     .minimum = 1,
     .help = "The same over TLS (wss, https), beside --listen or instead of it."},
    {.name = "admin-listen",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(admin_listen),
     .fallback = "127.0.0.1:8001",
     .argument = "HOST:PORT",
     .minimum = 1,
     .help =
         "Where operators connect: / is a console, beside /health, /ready, /metrics, /state, /log. "
         "\"off\" opens no such port."},
    {.name = "threads",
     .type = OPTION_NUMBER,
     .is_fixed = true,
     .offset = AT(threads),
     .fallback = "0",
     .argument = "N",
     .maximum = 64,
     .help = "Threads that serve clients; 0 means one for each core that this process may use, by "
             "its affinity and the CPU quota of its cgroup. The bus has a thread beside them, but "
             "with --bus local and one for clients, that one does everything."},
    {.name = "io-uring",
     .type = OPTION_CHOICE,
     .is_fixed = true,
     .offset = AT(io_uring),
     .fallback = "auto",
     .argument = "WHEN",
     .choices = io_uring_choices,
     .help = "Whether what clients are sent in a moment goes to the kernel in one call, through "
             "io_uring: auto (where that is allowed, and found to take less processor time), on, "
             "off."},
    {.name = "web-root",
     .type = OPTION_TEXT,
     .offset = AT(web_root),
     .fallback = CARILLON_WEB_ROOT,
     .argument = "DIRECTORY",
     .help = "Directory of the chat page, read at start and on SIGHUP."},
    {.name = "lobby",
     .type = OPTION_TEXT,
     .offset = AT(lobby),
     .fallback = "lobby",
     .argument = "CHANNEL",
     .minimum = 1,
     .maximum = MESSAGE_CHANNEL_LIMIT,
     .help = "Channel of clients that name none with ?channel=."},

    {.name = "tls-cert",
     .type = OPTION_LIST,
     .offset = AT(tls_cert),
     .fallback = "",
     .argument = "FILE,...",
     .group = "TLS",
     .help = "Certificate chains (PEM). A client gets the first one for the name that it asks for, "
             "else the first of all, of the kind that it wants where there are an RSA and an ECDSA "
             "one for the same names. Loaded again when they change, and on SIGHUP."},
    {.name = "tls-key",
     .type = OPTION_LIST,
     .offset = AT(tls_key),
     .fallback = "",
     .argument = "FILE,...",
     .help = "Their private keys (PEM, not encrypted), in the same order."},
    {.name = "tls-min-version",
     .type = OPTION_CHOICE,
     .offset = AT(tls_min_version),
     .fallback = "1.2",
     .argument = "VERSION",
     .choices = tls_versions,
     .help = "1.2 or 1.3."},
    {.name = "tls-ticket-keys",
     .type = OPTION_TEXT,
     .offset = AT(tls_ticket_keys),
     .fallback = "",
     .argument = "FILE",
     .help = "Keys for session tickets, a line of 64 hexadecimal digits each: the first encrypts, "
             "all decrypt. Gateways with the same keys take up each other's sessions; without a "
             "file each has random ones, a new one every 12h. Loaded again like certificates."},
    {.name = "kernel-tls",
     .type = OPTION_CHOICE,
     .is_fixed = true,
     .offset = AT(kernel_tls),
     .fallback = "auto",
     .argument = "WHEN",
     .choices = kernel_tls_choices,
     .help =
         "Whether the kernel encrypts what clients over TLS are sent, so that nothing is copied "
         "for each of them: auto (where the kernel and OpenSSL can), on (or do not start), off. "
         "A connection whose cipher the kernel does not know goes without."},
    {.name = "tls-handshakes",
     .type = OPTION_NUMBER,
     .offset = AT(tls_handshakes),
     .fallback = "1000",
     .argument = "N",
     .minimum = 1,
     .maximum = 1000000,
     .help = "TLS handshakes under way at a time in each thread; others wait until one has ended. "
             "While they do, one whose client says nothing for 2s is given up."},
    {.name = "hsts",
     .type = OPTION_TIME,
     .offset = AT(hsts_ms),
     .fallback = "0",
     .argument = "TIME",
     .maximum = 24 * HOUR * 3660,
     .help = "Answers over TLS, ours or that of a trusted proxy, tell browsers to use nothing else "
             "for this long (Strict-Transport-Security); 0 tells them nothing."},

    {.name = "base-path",
     .type = OPTION_TEXT,
     .offset = AT(base_path),
     .fallback = "/",
     .argument = "/PATH",
     .minimum = 1,
     .maximum = 255,
     .group = "Behind a proxy",
     .help = "Everything on the public port lies below this path, for a proxy that passes paths on "
             "as they are."},
    {.name = "trusted-proxy",
     .type = OPTION_LIST,
     .offset = AT(trusted_proxy),
     .fallback = "",
     .argument = "CIDR,...",
     .help = "Networks (10.0.0.0/8, 2001:db8::/32, 127.0.0.1) of the proxies in front. What their "
             "headers say of a client's address, host and scheme is believed; from anybody else "
             "it is not read."},
    {.name = "forwarded-header",
     .type = OPTION_CHOICE,
     .offset = AT(forwarded_header),
     .fallback = "x-forwarded",
     .argument = "FAMILY",
     .choices = forwarded_headers,
     .help = "Which headers the proxies write: x-forwarded (X-Forwarded-For, -Proto, -Host) or "
             "forwarded (RFC 7239). The others are not read, since a proxy passes on what a client "
             "wrote there."},
    {.name = "proxy-protocol",
     .type = OPTION_FLAG,
     .offset = AT(proxy_protocol),
     .fallback = "off",
     .help = "Every connection from a trusted proxy begins with a header of the PROXY protocol (1 "
             "or 2), before TLS where there is TLS, and one that does not is closed. Others never "
             "have one."},

#include "gateway/bus_options.h"

    {.name = "allow-anonymous",
     .type = OPTION_CHOICE,
     .offset = AT(allow_anonymous),
     .fallback = "auto",
     .argument = "WHEN",
     .choices = anonymous_choices,
     .group = "Clients of the channel protocol",
     .help = "Whether a client may connect without a token: on, off, or auto, which is on where no "
             "key for tokens is given."},
    {.name = "token-hmac-secret-file",
     .type = OPTION_TEXT,
     .offset = AT(token_hmac_secret_file),
     .fallback = "",
     .argument = "FILE",
     .help =
         "Secrets that tokens (JWT) are signed with by HS256, HS384 or HS512, a line each of 32 "
         "bytes or more. Read at start and on SIGHUP, like the other keys."},
    {.name = "token-rsa-public-key",
     .type = OPTION_TEXT,
     .offset = AT(token_rsa_public_key),
     .fallback = "",
     .argument = "FILE",
     .help = "Public key (PEM) of tokens signed by RS256, RS384 or RS512."},
    {.name = "token-ecdsa-public-key",
     .type = OPTION_TEXT,
     .offset = AT(token_ecdsa_public_key),
     .fallback = "",
     .argument = "FILE",
     .help = "Public key (PEM) of tokens signed by ES256, ES384 or ES512."},
    {.name = "token-eddsa-public-key",
     .type = OPTION_TEXT,
     .offset = AT(token_eddsa_public_key),
     .fallback = "",
     .argument = "FILE",
     .help = "Public key (PEM) of tokens signed by EdDSA (Ed25519)."},
    {.name = "token-jwks-file",
     .type = OPTION_TEXT,
     .offset = AT(token_jwks_file),
     .fallback = "",
     .argument = "FILE",
     .help = "A JSON Web Key Set of further keys, of which a token names one (kid)."},
    {.name = "token-audience",
     .type = OPTION_TEXT,
     .offset = AT(token_audience),
     .fallback = "",
     .argument = "TEXT",
     .help = "What a token must be for (aud); empty: anything."},
    {.name = "token-issuer",
     .type = OPTION_TEXT,
     .offset = AT(token_issuer),
     .fallback = "",
     .argument = "TEXT",
     .help = "Who must have issued a token (iss); empty: anybody with a key."},
    {.name = "token-leeway",
     .type = OPTION_TIME,
     .offset = AT(token_leeway_ms),
     .fallback = "10s",
     .argument = "TIME",
     .maximum = HOUR,
     .help = "How far the clock of whoever issues tokens may be off."},
    {.name = "token-user-claim",
     .type = OPTION_TEXT,
     .offset = AT(token_user_claim),
     .fallback = "sub",
     .argument = "NAME",
     .minimum = 1,
     .maximum = 64,
     .help = "The claim of a token that names the user."},
    {.name = "client-channel-limit",
     .type = OPTION_NUMBER,
     .offset = AT(client_channel_limit),
     .fallback = "128",
     .argument = "N",
     .minimum = 1,
     .maximum = 100000,
     .help = "Channels that one client may be subscribed to."},
    {.name = "subscribe-to-personal",
     .type = OPTION_FLAG,
     .offset = AT(subscribe_to_personal),
     .fallback = "off",
     .help = "A client with a user's name is subscribed to that user's personal channel when it "
             "connects."},

    {.name = "api-key-file",
     .type = OPTION_TEXT,
     .offset = AT(api_key_file),
     .fallback = "",
     .argument = "FILE",
     .group = "Server API",
     .help =
         "Keys for the server API on the admin port (/api), a line of 16 to 255 bytes each; any "
         "of them is taken. Read again on SIGHUP. Empty: the API is off."},

    {.name = "max-connections",
     .type = OPTION_NUMBER,
     .offset = AT(max_connections),
     .fallback = "100000",
     .argument = "N",
     .minimum = 1,
     .maximum = 100000000,
     .group = "Limits",
     .help = "Connections at a time; one more is answered with 503. Never more than the file "
             "descriptors of the process allow, which is said at start."},
    {.name = "max-connections-per-address",
     .type = OPTION_NUMBER,
     .offset = AT(max_connections_per_address),
     .fallback = "0",
     .argument = "N",
     .maximum = 100000000,
     .help =
         "Connections of one client address (IPv6: one /64) at a time; 0 means no limit, which "
         "is right behind a load balancer that is no --trusted-proxy. Where the proxy tells the "
         "address in a header, the WebSockets of an address are counted."},
    {.name = "accept-rate",
     .type = OPTION_NUMBER,
     .offset = AT(accept_rate),
     .fallback = "0",
     .argument = "N",
     .maximum = 1000000,
     .help = "WebSockets that may open in a second, and as many at once after a quiet one; others "
             "are answered with 503 and a random Retry-After, over TLS after the TLS handshake. 0 "
             "means no limit."},
    {.name = "max-channels",
     .type = OPTION_NUMBER,
     .offset = AT(max_channels),
     .fallback = "100000",
     .argument = "N",
     .minimum = 1,
     .maximum = 100000000,
     .help = "Channels with a client on this gateway; a client of one more is answered with 503."},
    {.name = "max-message-size",
     .type = OPTION_SIZE,
     .offset = AT(max_message_size),
     .fallback = "64K",
     .argument = "SIZE",
     .minimum = 1,
     .maximum = 64 * MIB,
     .help = "Largest message of a client; a larger one ends its connection (1009)."},
    {.name = "compress-min",
     .type = OPTION_SIZE,
     .offset = AT(compress_min),
     .fallback = "0",
     .argument = "SIZE",
     .maximum = 64 * MIB,
     .help = "Messages of this size and more are sent compressed to clients that can take them so "
             "(permessage-deflate), for processor time; 256 is a good value. 0 agrees on no "
             "compression with any client."},
    {.name = "max-header-size",
     .type = OPTION_SIZE,
     .offset = AT(max_header_size),
     .fallback = "8K",
     .argument = "SIZE",
     .minimum = 256,
     .maximum = MIB,
     .help = "Largest HTTP request, line and headers together (414, 431)."},
    {.name = "send-queue-limit",
     .type = OPTION_SIZE,
     .offset = AT(send_queue_limit),
     .fallback = "1M",
     .argument = "SIZE",
     .minimum = 4 * KIB,
     .maximum = 4 * GIB,
     .help =
         "Bytes that may wait for a slow client; one that is sent more is disconnected (1013)."},
    {.name = "coalesce-max",
     .type = OPTION_TIME,
     .offset = AT(coalesce_max_ms),
     .fallback = "0ms",
     .argument = "TIME",
     .maximum = 1000,
     .help = "Messages of a busy channel may wait so long for more, to be sent together."},
    {.name = "allow-origin",
     .type = OPTION_LIST,
     .offset = AT(allow_origin),
     .fallback = "*",
     .argument = "ORIGIN,...",
     .help = "Pages that may connect: * (any), same (the page's own host, and scheme where that is "
             "known), https://example.org, https://*.example.org. Others get 403."},

#include "gateway/channel_options.h"

#include "gateway/backend_options.h"

    {.name = "handshake-timeout",
     .type = OPTION_TIME,
     .offset = AT(handshake_timeout_ms),
     .fallback = "10s",
     .argument = "TIME",
     .minimum = 100,
     .maximum = HOUR,
     .group = "Times",
     .help = "For a request to arrive whole, and for an idle HTTP connection (408); for a TLS "
             "handshake, from its beginning."},
    {.name = "ping-interval",
     .type = OPTION_TIME,
     .offset = AT(ping_interval_ms),
     .fallback = "25s",
     .argument = "TIME",
     .minimum = 100,
     .maximum = 24 * HOUR,
     .help = "A client that was silent this long is sent a ping."},
    {.name = "pong-timeout",
     .type = OPTION_TIME,
     .offset = AT(pong_timeout_ms),
     .fallback = "10s",
     .argument = "TIME",
     .minimum = 100,
     .maximum = HOUR,
     .help = "A client that does not answer a ping for this long is taken for dead."},
    {.name = "close-timeout",
     .type = OPTION_TIME,
     .offset = AT(close_timeout_ms),
     .fallback = "5s",
     .argument = "TIME",
     .minimum = 100,
     .maximum = HOUR,
     .help = "For a client to answer a close frame that it has been sent."},
    {.name = "flush-timeout",
     .type = OPTION_TIME,
     .offset = AT(flush_timeout_ms),
     .fallback = "30s",
     .argument = "TIME",
     .maximum = HOUR,
     .help = "For a slow client that is sent away to take what is queued for it, as long as it "
             "takes some of it within each close-timeout."},
    {.name = "drain-time",
     .type = OPTION_TIME,
     .offset = AT(drain_time_ms),
     .fallback = "5s",
     .argument = "TIME",
     .maximum = HOUR,
     .help = "On SIGTERM, clients are sent away (1001) spread evenly over this time."},

    {.name = "log-format",
     .type = OPTION_CHOICE,
     .offset = AT(log_format),
     .fallback = "logfmt",
     .argument = "FORMAT",
     .choices = log_formats,
     .group = "Log",
     .help = "logfmt or json, one event a line, on stderr."},
    {.name = "log-level",
     .type = OPTION_CHOICE,
     .offset = AT(log_level),
     .fallback = "info",
     .argument = "LEVEL",
     .choices = log_levels,
     .help = "The least urgent events that are written: error, warning, info, debug."},
};
/* clang-format on */

static const struct option_section_kind namespaces = {
    .name = "namespace",
    .limit = NAMESPACES_LIMIT,
    .sections_offset = AT(namespaces),
    .values_offset = AT(rules),
    .values_size = sizeof(struct channel_rules),
};

const struct option_program config_program = {
    .name = "carillon-gateway",
    .summary = "Hands every message that a WebSocket client sends to every client of its channel, "
               "on this gateway and on all others of the same bus.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .section = &namespaces,
};
