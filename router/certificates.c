#include "router/certificates.h"

#include "common/memory.h"

static void tell_workers(struct certificates *certificates)
{
    for (unsigned i = 0; i < certificates->worker_count; i++) {
        struct worker_tls *renewed = memory_zeroed(1, sizeof(*renewed));

        renewed->item.command = WORKER_TLS;
        renewed->dial = tls_context_ref(certificates->dial.context);
        renewed->accept = tls_context_ref(certificates->accept.context);
        inbox_post(&certificates->workers[i].inbox, &renewed->item.item);
    }
}

static void on_dial_replaced(struct tls_keeper *keeper)
{
    tell_workers(container_of(keeper, struct certificates, dial));
}

static void on_accept_replaced(struct tls_keeper *keeper)
{
    tell_workers(container_of(keeper, struct certificates, accept));
}

/* What routers show, and whom they trust, when they dial. */
static struct tls_source source_of(const struct config *config)
{
    return (struct tls_source){
        .role = "links to routers",
        .certificates = &config->tls_cert,
        .keys = &config->tls_key,
        .ca = config->tls_ca,
        .minimum = 13, /* there is nobody at either end but us */
    };
}

int certificates_load(struct certificates *certificates, struct loop *loop,
                      const struct config *config, char error[TLS_ERROR_LIMIT])
{
    struct tls_source source = source_of(config);

    if (config->tls_ca[0] == '\0')
        return 0;

    int result = tls_keeper_start(&certificates->dial, loop, &source, on_dial_replaced, error);

    if (result)
        return result;
    source.role = "links";
    source.is_server = true;
    return tls_keeper_start(&certificates->accept, loop, &source, on_accept_replaced, error);
}

int certificates_check(const struct config *config, char error[TLS_ERROR_LIMIT])
{
    struct tls_source source = source_of(config);

    if (config->tls_ca[0] == '\0' || config->tls_cert.count != config->tls_key.count)
        return 0;
    return tls_source_check(&source, error);
}

bool certificates_are_wanted(const struct certificates *certificates)
{
    return certificates->accept.context != NULL;
}

/* Both contexts are made from the same files. */
void certificates_append_metrics(const struct certificates *certificates, struct buffer *text)
{
    if (!certificates_are_wanted(certificates))
        return;
    tls_keeper_describe_expiry(text);
    tls_keeper_append_expiry(text, &certificates->accept);
}

void certificates_close(struct certificates *certificates)
{
    tls_keeper_close(&certificates->dial);
    tls_keeper_close(&certificates->accept);
}
