#include "router/config.h"

#include <stddef.h>
#include <string.h>

#include "common/address.h"
#include "common/cluster_name.h"
#include "common/router_dialer.h"

#define KIB    1024ull
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)
#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

#define AT(member) offsetof(struct config, member)

static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

/* clang-format off: a row is an option */
static const struct option options[] = {
    {.name = "listen",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(listen),
     .fallback = "0.0.0.0:9000",
     .argument = "HOST:PORT",
     .group = "Listening",
     .minimum = 1,
     .help = "Where gateways and other routers connect."},
    {.name = "admin-listen",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(admin_listen),
     .fallback = "127.0.0.1:9001",
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
     .help = "Threads that serve shards; 0 means one for each core, and never more than shards."},

    {.name = "peers",
     .type = OPTION_LIST,
     .is_fixed = true,
     .offset = AT(peers),
     .fallback = "",
     .argument = "HOST[:PORT],...",
     .group = "Cluster",
     .help =
         "The other routers: their addresses, or one name that resolves to all of them (itself may "
         "be among them). Empty: this router is alone."},
    {.name = "name",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(name),
     .fallback = "",
     .argument = "TEXT",
     .maximum = 255,
     .help = "What places channels: different in each router, and the same after a restart. "
             "Default: the "
             "host's name and the port."},
    {.name = "advertise",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(advertise),
     .fallback = "",
     .argument = "HOST:PORT",
     .maximum = 64,
     .help = "Numeric address at which others reach this router. Default: where they found it."},
    {.name = "cluster",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(cluster),
     .fallback = CLUSTER_NAME_DEFAULT,
     .argument = "NAME",
     .minimum = 1,
     .maximum = CLUSTER_NAME_LIMIT,
     .help = "Name of the cluster, the same in all its routers, and the --router-cluster of its "
             "gateways. "
             "Whoever names another one is refused."},
    {.name = "shards",
     .type = OPTION_NUMBER,
     .is_fixed = true,
     .offset = AT(shards),
     .fallback = "4",
     .argument = "N",
     .minimum = 1,
     .maximum = 64,
     .help = "Parts that channels are spread over, each on one thread and with connections of its "
             "own; the "
             "same number in all routers."},
    {.name = "secret-file",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(secret_file),
     .fallback = "",
     .argument = "FILE",
     .help =
         "File with the secret that gateways and routers must share, at least 16 bytes. The secret "
         "itself is never sent."},

    {.name = "tls-ca",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(tls_ca),
     .fallback = "",
     .argument = "FILE",
     .group = "TLS",
     .help =
         "CA certificates (PEM) of the cluster. With it, gateways (routers://) and routers reach "
         "this router over TLS alone, and only with a certificate from there; so does this one "
         "reach others. The three files are loaded again when they change."},
    {.name = "tls-cert",
     .type = OPTION_LIST,
     .is_fixed = true,
     .offset = AT(tls_cert),
     .fallback = "",
     .argument = "FILE",
     .help = "Certificate chain (PEM) of this router, to be shown to whoever connects and to other "
             "routers."},
    {.name = "tls-key",
     .type = OPTION_LIST,
     .is_fixed = true,
     .offset = AT(tls_key),
     .fallback = "",
     .argument = "FILE",
     .help = "Its private key (PEM)."},
    {.name = "tls-server-name",
     .type = OPTION_TEXT,
     .is_fixed = true,
     .offset = AT(tls_server_name),
     .fallback = "",
     .argument = "NAME",
     .help = "Name that the certificates of all other routers must bear. Default: the host in "
             "--peers; for a router that others told of, its address."},

    {.name = "memory-limit",
     .type = OPTION_SIZE,
     .is_fixed = true,
     .offset = AT(memory_limit_bytes),
     .fallback = "0",
     .argument = "SIZE",
     .group = "Memory",
     .maximum = 4096 * GIB,
     .help =
         "Memory of the whole process, at least 64M. Where the limits that follow come to more, "
         "all "
         "of them are lowered in proportion. 0 means three quarters of what the machine, or the "
         "control group (container), has."},
    {.name = "history-size",
     .type = OPTION_NUMBER,
     .is_fixed = true,
     .offset = AT(history_size),
     .fallback = "1000",
     .argument = "N",
     .maximum = 1000000,
     .help = "Messages kept of each channel, unless its publishers ask for others."},
    {.name = "history-ttl",
     .type = OPTION_TIME,
     .is_fixed = true,
     .offset = AT(history_ttl_ms),
     .fallback = "10m",
     .argument = "TIME",
     .minimum = SECOND,
     .maximum = 24 * HOUR * 366,
     .help = "How long a channel's history is kept after its last message, likewise."},
    {.name = "history-memory",
     .type = OPTION_SIZE,
     .is_fixed = true,
     .offset = AT(history_memory_bytes),
     .fallback = "256M",
     .argument = "SIZE",
     .minimum = MIB,
     .maximum = 1024 * GIB,
     .help = "Memory for all histories together; the oldest messages go first."},
    {.name = "waiting-memory",
     .type = OPTION_SIZE,
     .is_fixed = true,
     .offset = AT(waiting_memory_bytes),
     .fallback = "64M",
     .argument = "SIZE",
     .minimum = MIB,
     .maximum = 64 * GIB,
     .help = "Memory for publishes that are not acknowledged yet; beyond it they are refused, and "
             "gateways "
             "keep them and try again."},
    {.name = "presence-memory",
     .type = OPTION_SIZE,
     .is_fixed = true,
     .offset = AT(presence_memory_bytes),
     .fallback = "64M",
     .argument = "SIZE",
     .minimum = MIB,
     .maximum = 64 * GIB,
     .help = "Memory for who is on which channel; whoever comes beyond it is not listed."},
    {.name = "key-memory",
     .type = OPTION_SIZE,
     .is_fixed = true,
     .offset = AT(key_memory_bytes),
     .fallback = "32M",
     .argument = "SIZE",
     .minimum = MIB,
     .maximum = 64 * GIB,
     .help = "Memory for the idempotency keys of the last five minutes; beyond it the oldest are "
             "forgotten first."},
    {.name = "link-queue-limit",
     .type = OPTION_SIZE,
     .is_fixed = true,
     .offset = AT(link_queue_limit),
     .fallback = "256M",
     .argument = "SIZE",
     .minimum = MIB,
     .maximum = 64 * GIB,
     .help =
         "Bytes that may wait for one gateway or router; one that reads more slowly is "
         "disconnected, and "
         "catches up from history. Not less than a message and what a shard keeps of histories, "
         "which it may be sent at once."},
    {.name = "link-memory",
     .type = OPTION_SIZE,
     .is_fixed = true,
     .offset = AT(link_memory_bytes),
     .fallback = "512M",
     .argument = "SIZE",
     .minimum = MIB,
     .maximum = 1024 * GIB,
     .help =
         "Memory for what waits for all gateways and routers together, and for messages that have "
         "not arrived whole; whoever holds most is disconnected. Not less than --history-memory, "
         "which another router may be sent at once."},
    {.name = "channel-memory",
     .type = OPTION_SIZE,
     .is_fixed = true,
     .offset = AT(channel_memory_bytes),
     .fallback = "512M",
     .argument = "SIZE",
     .minimum = MIB,
     .maximum = 1024 * GIB,
     .help =
         "Memory for channels and subscriptions beside their messages, about 1K each; beyond it "
         "new ones are refused, and gateways try again."},
    {.name = "max-channels",
     .type = OPTION_NUMBER,
     .is_fixed = true,
     .offset = AT(max_channels),
     .fallback = "1000000",
     .argument = "N",
     .minimum = 1,
     .maximum = 100000000,
     .help = "Channels in memory."},
    {.name = "max-message-size",
     .type = OPTION_SIZE,
     .is_fixed = true,
     .offset = AT(max_message_size),
     .fallback = "64M",
     .argument = "SIZE",
     .minimum = KIB,
     .maximum = 64 * MIB,
     .help = "Largest message that is taken from gateways; a larger one is refused, and its client "
             "told. The same in all routers; gateways whose own is larger say so in their log."},
    {.name = "drain-time",
     .type = OPTION_TIME,
     .is_fixed = true,
     .offset = AT(drain_time_ms),
     .fallback = "10s",
     .argument = "TIME",
     .maximum = HOUR,
     .help = "On SIGTERM, the longest that giving all channels to other routers may take."},

    {.name = "log-format",
     .type = OPTION_CHOICE,
     .is_fixed = true,
     .offset = AT(log_format),
     .fallback = "logfmt",
     .argument = "FORMAT",
     .choices = log_formats,
     .group = "Log",
     .help = "logfmt or json, one event a line, on stderr."},
    {.name = "log-level",
     .type = OPTION_CHOICE,
     .is_fixed = true,
     .offset = AT(log_level),
     .fallback = "info",
     .argument = "LEVEL",
     .choices = log_levels,
     .help = "The least urgent events that are written: error, warning, info, debug."},
};
/* clang-format on */

const struct option_program config_program = {
    .name = "carillon-router",
    .summary =
        "A bus for carillon-gateway without Redis: keeps the order and the recent history of every "
        "channel, and hands each message to each gateway that has a subscriber. Several routers "
        "hold each channel twice.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};

void config_check(const struct config *config, option_report *report, void *context)
{
    struct sockaddr_storage address;

    if (address_parse(config->listen, &address))
        report(context, "--listen: expected a numeric HOST:PORT such as 0.0.0.0:9000");
    if (strcmp(config->admin_listen, "off") != 0 && address_parse(config->admin_listen, &address))
        report(context, "--admin-listen: expected a numeric HOST:PORT such as 127.0.0.1:9001, or "
                        "\"off\"");
    if (config->advertise[0] != '\0' && address_parse(config->advertise, &address))
        report(context, "--advertise: expected a numeric HOST:PORT such as 10.0.0.7:9000");
    if (config->tls_cert.count != config->tls_key.count || config->tls_cert.count > 1)
        report(context, "--tls-key: expected the key of the one --tls-cert");
    if ((config->tls_ca[0] != '\0') != (config->tls_cert.count == 1))
        report(context, "--tls-ca: belongs together with --tls-cert and --tls-key");
    if (router_dialer_check(&config->peers))
        report(context, "--peers: expected HOST or HOST:PORT, separated by commas");
    if (!cluster_name_is_valid(config->cluster))
        report(context, "--cluster: expected 1 to 64 bytes of UTF-8 without control characters");
    if (config->memory_limit_bytes != 0 && config->memory_limit_bytes < 64 * MIB)
        report(context, "--memory-limit: expected at least 64M, or 0");
    if (config->link_memory_bytes < config->history_memory_bytes)
        report(context, "--link-memory: less than --history-memory");
    if (config->link_memory_bytes < 2 * config->max_message_size)
        report(context, "--link-memory: must be at least twice --max-message-size");
    if (config->link_queue_limit < config->max_message_size + MIB)
        report(context, "--link-queue-limit: must be at least 1M more than --max-message-size");
    if (config->link_queue_limit < config->history_memory_bytes / config->shards)
        report(context, "--link-queue-limit: less than --history-memory divided by --shards, which "
                        "a gateway or router may be sent at once");
    if (config->waiting_memory_bytes < config->max_message_size / 16)
        report(context, "--waiting-memory: too little for --max-message-size");
}
