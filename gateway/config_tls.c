#include "gateway/config.h"

struct tls_source config_client_tls(const struct config *config)
{
    return (struct tls_source){
        .role = "clients",
        .is_server = true,
        .certificates = &config->tls_cert,
        .keys = &config->tls_key,
        .ca = "",
        .ticket_keys = config->tls_ticket_keys,
        .minimum = config->tls_min_version == 0 ? 12 : 13,
        .is_http = true,
    };
}

struct tls_source config_bus_tls(const struct config *config)
{
    return (struct tls_source){
        .role = "bus",
        .certificates = &config->bus_tls_cert,
        .keys = &config->bus_tls_key,
        .ca = config->bus_tls_ca,
        .minimum = 12,
    };
}
