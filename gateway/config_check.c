/* What is wrong with the options, each for itself and together; what is said of the application's
 * backend and of the rules of channels is in config_backend.c and config_rules.c. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/address.h"
#include "common/channel_name.h"
#include "common/cluster_name.h"
#include "common/network.h"
#include "gateway/base_path.h"
#include "gateway/channel.h"
#include "gateway/config.h"
#include "gateway/handshake.h"

_Static_assert(CHANNEL_TICK_BYTES == 128ul * 1024, "config_check says so");

static bool is_off(const char *listener)
{
    return strcmp(listener, "off") == 0;
}

static bool is_listener(const char *text)
{
    struct sockaddr_storage address;

    return is_off(text) || address_parse(text, &address) == 0;
}

static void check_listeners(const struct config *config, option_report *report, void *context)
{
    if (!is_listener(config->listen))
        report(context, "--listen: expected a numeric HOST:PORT such as 0.0.0.0:8000, or \"off\"");
    if (!is_listener(config->tls_listen))
        report(context, "--tls-listen: expected a numeric HOST:PORT such as 0.0.0.0:8443, or "
                        "\"off\"");
    if (!is_listener(config->admin_listen))
        report(context, "--admin-listen: expected a numeric HOST:PORT such as 127.0.0.1:8001, or "
                        "\"off\"");
    if (is_off(config->listen) && is_off(config->tls_listen))
        report(context, "--listen: with \"off\" clients need --tls-listen");
}

static void check_certificates(const struct config *config, option_report *report, void *context)
{
    if (config->tls_cert.count != config->tls_key.count)
        report(context, "--tls-key: expected one for each --tls-cert");
    if (!is_off(config->tls_listen) && config->tls_cert.count == 0)
        report(context, "--tls-listen: needs --tls-cert and --tls-key");
    if (config->bus_tls_cert.count > 1)
        report(context, "--bus-tls-cert: expected one file");
    else if (config->bus_tls_cert.count != config->bus_tls_key.count)
        report(context, "--bus-tls-key: expected the key of --bus-tls-cert");
}

static bool are_origins(const struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!handshake_is_origin_pattern(list->items[i]))
            return false;
    }
    return true;
}

static bool are_networks(const struct option_list *list)
{
    struct network network;

    for (size_t i = 0; i < list->count; i++) {
        if (network_parse(list->items[i], &network))
            return false;
    }
    return true;
}

/*
 * The send queue must hold a tick, which may be a message over its size, and the next message:
 * a client that reads well is sent so much at once, and the kernel is free to take it in pieces.
 */
void config_check(const struct config *config, option_report *report, void *context)
{
    check_listeners(config, report, context);
    check_certificates(config, report, context);
    if (!channel_name_is_valid(config->lobby, strlen(config->lobby)))
        report(context, "--lobby: a channel name is UTF-8 without control characters");
    if (!cluster_name_is_valid(config->router_cluster))
        report(context,
               "--router-cluster: expected 1 to 64 bytes of UTF-8 without control characters");
    if (!are_origins(&config->allow_origin))
        report(context, "--allow-origin: expected *, same, null or an origin such as "
                        "https://example.org or https://*.example.org, without a path");
    if (!base_path_is_valid(config->base_path))
        report(context, "--base-path: expected a path such as /chat, without a slash at its end");
    if (!are_networks(&config->trusted_proxy))
        report(context, "--trusted-proxy: expected networks such as 10.0.0.0/8 or 2001:db8::/32, "
                        "with no bit set behind the prefix");
    if (config->proxy_protocol && config->trusted_proxy.count == 0)
        report(context, "--proxy-protocol: --trusted-proxy must name who speaks it");
    if (config->send_queue_limit < CHANNEL_TICK_BYTES + 2 * config->max_message_size)
        report(context, "--send-queue-limit: must be at least 128K plus twice --max-message-size");
    if (config->bus_buffer_bytes < config->max_message_size + 128)
        report(context, "--bus-buffer: must be larger than --max-message-size");
    config_check_backend(config, report, context);
    config_check_rules(config, report, context);
}
