#include "tests/bench/destination.h"

#include <stdio.h>

#include "common/memory.h"

void destination_init(struct destination *destination, const struct server_url *url,
                      uint32_t channel, const struct protocol *protocol, bool is_deflated)
{
    destination->protocol = protocol;
    destination->wish = (struct upgrade_wish){protocol->subprotocol, is_deflated};
    snprintf(destination->channel, sizeof(destination->channel), "bench-%u", channel);
    server_url_fill(&destination->url, url, channel);
    upgrade_append_request(&destination->request, &destination->url, &destination->wish);
}

void destination_deinit(struct destination *destination)
{
    buffer_deinit(&destination->request);
    endpoint_deinit(&destination->endpoint);
}

void destinations_init(struct destinations *destinations, const struct arguments *arguments)
{
    uint32_t channels = arguments->channels;

    destinations->count = arguments->url_count * channels;
    destinations->items = memory_zeroed(destinations->count, sizeof(*destinations->items));
    for (uint32_t i = 0; i < destinations->count; i++)
        destination_init(&destinations->items[i], &arguments->urls[i / channels], i % channels + 1,
                         arguments->protocol, arguments->is_deflated);
}

void destinations_deinit(struct destinations *destinations)
{
    for (uint32_t i = 0; i < destinations->count; i++)
        destination_deinit(&destinations->items[i]);
    memory_free(destinations->items);
}

int destinations_resolve(struct destinations *destinations, const char **host)
{
    for (uint32_t i = 0; i < destinations->count; i++) {
        struct destination *destination = &destinations->items[i];
        int error =
            endpoint_resolve(&destination->endpoint, destination->url.host, destination->url.port);

        *host = destination->url.host;
        if (error)
            return error;
    }
    return 0;
}
