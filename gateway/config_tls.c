#include "common/kernel_tls.h"
#include "common/log.h"
#include "gateway/config.h"

void config_log_kernel_tls(const struct config *config)
{
    static const char *const choices[] = {"auto", "on", "off"};
    struct log_field choice = log_text("kernel_tls", choices[config->kernel_tls]);
    int error = config->kernel_tls == KERNEL_TLS_OFF ? 0 : kernel_tls_probe();

    if (error)
        log_event(LOG_INFO, log_name("no kernel TLS"), choice,
                  log_text("reason", kernel_tls_explain(error)));
    else
        log_event(LOG_INFO, log_name("encryption for clients"), choice,
                  log_text("by", config->kernel_tls == KERNEL_TLS_OFF ? "us" : "the kernel"));
}

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
        .may_offload = config->kernel_tls != KERNEL_TLS_OFF && kernel_tls_probe() == 0,
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
