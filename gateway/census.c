#include "gateway/census.h"

#include <string.h>

#include "common/memory.h"
#include "gateway/channels.h"

bool census_fits(const char *pattern, const char *name, size_t name_size)
{
    const char *star = NULL; /* where to go on after the last one, and from where in the name */
    size_t retry = 0;
    size_t at = 0;

    while (at < name_size) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = at;
        } else if (*pattern != '\0' && (*pattern == '?' || *pattern == name[at])) {
            pattern++;
            at++;
        } else if (star) {
            pattern = star;
            at = ++retry;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static void note(struct map_entry *entry, void *context)
{
    struct census_command *command = context;
    const struct channel *channel = channel_of_entry(entry);
    struct census_channel found = {.clients = channel_subscriber_count(channel)};
    const char *name = channel_name(channel, &found.name_size);

    if (found.clients == 0 ||
        (command->pattern[0] != '\0' && !census_fits(command->pattern, name, found.name_size)))
        return;
    command->count++;
    buffer_append(&command->found, &found, sizeof(found));
    buffer_append(&command->found, name, found.name_size);
}

void census_look(struct census_command *command, const struct channels *channels)
{
    const struct map *map = &channels->by_name;

    if (map->slot_count != command->slot_count) {
        if (command->slot > 0 && ++command->restarts > CENSUS_RESTARTS) {
            command->is_done = true;
            return;
        }
        command->found.size = 0;
        command->count = 0;
        command->slot = 0;
        command->slot_count = map->slot_count;
    }
    map_look(map, command->slot, CENSUS_SLICE, note, command);
    command->slot += CENSUS_SLICE;
    command->is_done = command->slot >= command->slot_count;
}

bool census_next(const struct census_command *command, size_t *at, const char **name,
                 struct census_channel *channel)
{
    if (*at >= command->found.size)
        return false;
    memcpy(channel, command->found.data + *at, sizeof(*channel));
    *name = (const char *)command->found.data + *at + sizeof(*channel);
    *at += sizeof(*channel) + channel->name_size;
    return true;
}

void census_destroy(struct census_command *command)
{
    buffer_deinit(&command->found);
    memory_free(command);
}
