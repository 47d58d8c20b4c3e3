/*
 * The router's configuration, as options_load fills it from the table in config.c. Plain data;
 * read-only once loaded.
 */
#ifndef ROUTER_CONFIG_H
#define ROUTER_CONFIG_H

#include <stdint.h>

#include "common/option.h"

struct config {
    const char *listen;
    const char *admin_listen;
    const char *name;      /* empty: made from the host's name and the port */
    const char *advertise; /* empty: where others have found us */
    const char *cluster;
    struct option_list peers;
    const char *secret_file;     /* empty: no secret */
    const char *tls_ca;          /* empty: no TLS */
    struct option_list tls_cert; /* one at most */
    struct option_list tls_key;
    const char *tls_server_name; /* empty: the host that is dialed */
    uint64_t threads;            /* 0: one for each core */
    uint64_t shards;

    uint64_t memory_limit_bytes; /* 0: by what there is */
    uint64_t history_size;
    uint64_t history_ttl_ms;
    uint64_t history_memory_bytes;
    uint64_t waiting_memory_bytes;
    uint64_t presence_memory_bytes;
    uint64_t key_memory_bytes;
    uint64_t link_queue_limit;
    uint64_t link_memory_bytes;
    uint64_t channel_memory_bytes;
    uint64_t max_channels;
    uint64_t max_message_size;
    uint64_t drain_time_ms;

    int log_format; /* enum log_format */
    int log_level;  /* enum log_level */
};

extern const struct option_program config_program;

/* Checks what the table cannot, and reports all that is wrong. */
void config_check(const struct config *config, option_report *report, void *context);

#endif
