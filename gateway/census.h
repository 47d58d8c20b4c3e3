/*
 * Which channels of a worker have subscribers, and how many, for the server API. The command goes
 * to and fro between the hub and the worker and looks at CENSUS_SLICE slots of the table each time,
 * so that nobody waits for it; where the table has changed its size it begins anew.
 */
#ifndef GATEWAY_CENSUS_H
#define GATEWAY_CENSUS_H

#include "common/buffer.h"
#include "gateway/command.h"

#define CENSUS_SLICE         4096
#define CENSUS_RESTARTS      3
#define CENSUS_PATTERN_LIMIT 255

struct channels;

/* COMMAND_CENSUS to the worker, COMMAND_COUNTED back. */
struct census_command {
    struct command command;
    uint64_t asker; /* the gateway that asks, and its number of the survey */
    uint64_t id;
    size_t slot;
    size_t slot_count;
    unsigned restarts;
    bool is_done;
    size_t count;        /* channels found */
    struct buffer found; /* struct census_channel and its name, one behind the other */
    char pattern[CENSUS_PATTERN_LIMIT + 1]; /* empty: all */
};

struct census_channel {
    uint64_t clients;
    size_t name_size;
};

/* True if the name fits the pattern: `*` stands for any bytes, `?` for one. */
bool census_fits(const char *pattern, const char *name, size_t name_size);

/* On the worker: looks at the next slots; `is_done` says whether that was all. */
void census_look(struct census_command *command, const struct channels *channels);

/* Takes the next channel from `*at` on, which moves behind it. False at the end. */
bool census_next(const struct census_command *command, size_t *at, const char **name,
                 struct census_channel *channel);

void census_destroy(struct census_command *command);

#endif
