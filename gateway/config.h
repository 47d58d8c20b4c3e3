/*
 * The gateway's configuration, as options_load fills it from the table in config.c, which is the one
 * place that knows names, defaults, limits and help texts. Plain data; read-only once loaded.
 */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/option.h"

struct config {
    const char *listen;
    const char *admin_listen;
    uint64_t threads; /* 0: one for each core */
    const char *web_root;
    const char *lobby;

    const char *bus;
    const char *redis_prefix;
    uint64_t bus_buffer_bytes;
    uint64_t history_size;
    uint64_t history_ttl_ms;
    uint64_t history_memory_bytes;

    uint64_t max_connections;
    uint64_t max_connections_per_address; /* 0: no limit */
    uint64_t max_channels;
    uint64_t max_message_size;
    uint64_t max_header_size;
    uint64_t send_queue_limit;
    uint64_t message_rate; /* messages a second and connection; 0: no limit */
    uint64_t message_burst;
    struct option_list allow_origin;

    uint64_t handshake_timeout_ms;
    uint64_t ping_interval_ms;
    uint64_t pong_timeout_ms;
    uint64_t close_timeout_ms;
    uint64_t drain_time_ms;

    int log_format; /* enum log_format */
    int log_level;  /* enum log_level */
};

extern const struct option_program config_program;

/* Checks what the table cannot: values that must fit together. NULL, or what is wrong. */
const char *config_check(const struct config *config);

#endif
