#include "gateway/asks.h"

#include <string.h>

#include "common/memory.h"
#include "gateway/ask.h"

void asks_init(struct asks *asks)
{
    asks->channels = (struct map){0};
    list_init(&asks->waiting);
}

void asks_deinit(struct asks *asks)
{
    map_deinit(&asks->channels);
}

static bool asks_only_where(const struct bus_ask *ask)
{
    return ask->epoch[0] == '\0' && ask->limit == 0;
}

/* The offset behind the last message that a question wants. */
static uint64_t reach_of(const struct bus_ask *ask)
{
    return ask->limit < UINT64_MAX - ask->offset ? ask->offset + ask->limit : UINT64_MAX;
}

/* Makes `ask` one whose answer serves `other`, too; false where there is none. */
static bool widen(struct bus_ask *ask, const struct bus_ask *other)
{
    uint64_t reach = reach_of(ask) > reach_of(other) ? reach_of(ask) : reach_of(other);

    if (asks_only_where(other))
        return true;
    if (asks_only_where(ask)) {
        epoch_copy(ask->epoch, other->epoch);
        ask->offset = other->offset;
        ask->limit = other->limit;
        return true;
    }
    if (strcmp(ask->epoch, other->epoch) != 0)
        return false;
    if (other->offset < ask->offset)
        ask->offset = other->offset;
    ask->limit =
        reach - ask->offset < BUS_PAGE_LIMIT ? reach - ask->offset : (uint64_t)BUS_PAGE_LIMIT;
    return true;
}

bool asks_take(struct asks *asks, struct ask_command *command, struct bus *bus)
{
    struct map_entry *entry;
    struct ask_command *first;
    bool is_first = asks->channels.count == 0;

    if (!bus || command->kind != ASK_HISTORY || !command->ask.begins) {
        ask_put(command, bus);
        return false;
    }
    entry = map_find(&asks->channels, command->channel, command->channel_size);
    if (!entry) {
        map_insert(&asks->channels, &command->gathered, command->channel, command->channel_size);
        list_init(&command->link);
        list_append(&asks->waiting, &command->link);
        return is_first;
    }
    first = container_of(entry, struct ask_command, gathered);
    if (widen(&first->ask, &command->ask)) {
        command->is_shared = true;
        command->next = first->next;
        first->next = command;
    } else {
        ask_put(command, bus);
    }
    return false;
}

void asks_put(struct asks *asks, struct bus *bus)
{
    while (!list_is_empty(&asks->waiting)) {
        struct ask_command *command = container_of(asks->waiting.next, struct ask_command, link);

        list_remove(&command->link);
        map_remove(&asks->channels, &command->gathered);
        ask_put(command, bus);
    }
}
