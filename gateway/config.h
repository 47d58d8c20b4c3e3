/*
 * The gateway's configuration, as options_load fills it from the table in config.c, which is the
 * one place that knows names, defaults, limits and help texts. Plain data; read-only once loaded.
 */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/option.h"
#include "common/tls_keeper.h"
#include "gateway/channel_rules.h"

#define NAMESPACES_LIMIT 256

enum config_anonymous { ANONYMOUS_AUTO, ANONYMOUS_ON, ANONYMOUS_OFF };

struct config {
    const char *listen;
    const char *tls_listen;
    const char *admin_listen;
    uint64_t threads; /* 0: one for each core */
    int io_uring;     /* enum gather_mode */
    const char *web_root;
    const char *lobby;

    struct option_list tls_cert;
    struct option_list tls_key; /* as many */
    const char *tls_ticket_keys;
    int tls_min_version;     /* index: 1.2, 1.3 */
    uint64_t hsts_ms;        /* 0: none */
    int kernel_tls;          /* enum kernel_tls_mode */
    uint64_t tls_handshakes; /* at a time, of one thread */

    const char *base_path;
    struct option_list trusted_proxy;
    int forwarded_header; /* enum forwarded_family */
    bool proxy_protocol;

    const char *bus;
    const char *redis_prefix;
    const char *router_cluster;
    const char *router_secret_file;
    const char *bus_tls_ca; /* empty: whom this machine trusts */
    struct option_list bus_tls_cert;
    struct option_list bus_tls_key;  /* as many, one at most */
    const char *bus_tls_server_name; /* empty: the host */
    uint64_t bus_buffer_bytes;
    uint64_t history_memory_bytes;

    int allow_anonymous; /* enum config_anonymous */
    uint64_t client_channel_limit;
    bool subscribe_to_personal;
    const char *token_hmac_secret_file; /* empty: none; so the next four */
    const char *token_rsa_public_key;
    const char *token_ecdsa_public_key;
    const char *token_eddsa_public_key;
    const char *token_jwks_file;
    const char *token_audience; /* empty: any */
    const char *token_issuer;
    uint64_t token_leeway_ms;
    const char *token_user_claim;

    const char *api_key_file; /* empty: the server API is off */

    uint64_t max_connections;
    uint64_t max_connections_per_address; /* 0: no limit */
    uint64_t accept_rate;                 /* WebSockets a second; 0: no limit */
    uint64_t max_channels;
    uint64_t max_message_size;
    uint64_t compress_min; /* bytes; 0: no compression */
    uint64_t max_header_size;
    uint64_t send_queue_limit;
    uint64_t coalesce_max_ms; /* 0: a busy channel's messages wait for nothing */
    struct option_list allow_origin;

    const char *private_prefix;
    const char *personal_prefix;
    struct channel_rules rules; /* of channels without a namespace. Its history is the bus's own,
                                   its message rate the connection's */
    struct option_sections namespaces; /* whose values are a struct channel_rules each */

    const char *proxy_connect; /* empty: there is no such hook; so the next four */
    const char *proxy_refresh;
    const char *proxy_subscribe;
    const char *proxy_publish;
    const char *proxy_rpc;
    uint64_t proxy_timeout_ms;
    uint64_t proxy_concurrency;
    struct option_list proxy_header;
    const char *proxy_tls_ca; /* empty: whom this machine trusts */

    uint64_t handshake_timeout_ms;
    uint64_t ping_interval_ms;
    uint64_t pong_timeout_ms;
    uint64_t close_timeout_ms;
    uint64_t flush_timeout_ms;
    uint64_t drain_time_ms;

    int log_format; /* enum log_format */
    int log_level;  /* enum log_level */
};

extern const struct option_program config_program;

/* The files of the certificates for clients, as the configuration names them. */
struct tls_source config_client_tls(const struct config *config);

/* Logs who encrypts for clients: the kernel, or why not. */
void config_log_kernel_tls(const struct config *config);

/* And those of the bus. */
struct tls_source config_bus_tls(const struct config *config);

/* Checks what is said of the application's backend; a part of config_check. */
void config_check_backend(const struct config *config, option_report *report, void *context);

/* Checks the rules of channels, those of sections included; a part of config_check. */
void config_check_rules(const struct config *config, option_report *report, void *context);

/* Checks what the table cannot, values that must fit together, and reports all that is wrong. */
void config_check(const struct config *config, option_report *report, void *context);

#endif
