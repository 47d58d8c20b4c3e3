#include "gateway/slow_clients.h"

#define STAY_MS 1000

bool slow_clients_note(struct slow_clients *clients, uint64_t connection, uint64_t queued_bytes,
                       bool is_closed, uint64_t now_ms, struct slow_client **place)
{
    struct slow_client *item = &clients->items[0];

    for (size_t i = 0; i < SLOW_CLIENTS && item->connection != connection; i++) {
        struct slow_client *candidate = &clients->items[i];

        if (candidate->connection == connection || candidate->seen_ms < item->seen_ms)
            item = candidate;
    }

    bool is_new = item->connection != connection;

    if (is_new && item->connection != 0 && now_ms - item->seen_ms < STAY_MS)
        return false;
    item->connection = connection;
    item->queued_bytes = queued_bytes;
    item->seen_ms = now_ms;
    item->is_closed = is_closed;
    *place = item;
    return is_new;
}
