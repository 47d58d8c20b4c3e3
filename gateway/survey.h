/*
 * A survey asks every worker which of its channels are the largest and which clients were slow, for
 * operators. Nobody stops for it: a worker looks at SURVEY_SLICE slots of its channels in one
 * iteration of its loop, and who asks waits for a moment at most and takes the last result there
 * is; one that was found since then and is old by now he does not take, but asks anew. One survey
 * at a time, at most every SURVEY_REST_MS.
 *
 * Lives in the hub. Asked on the main loop; each worker adds its part from its own.
 */
#ifndef GATEWAY_SURVEY_H
#define GATEWAY_SURVEY_H

#include <uv.h>

#include "gateway/command.h"
#include "gateway/slow_clients.h"
#include "gateway/top_channels.h"

#define SURVEY_SLICE    1024
#define SURVEY_REST_MS  500
#define SURVEY_WAIT_MS  20
#define SURVEY_RESTARTS 3
#define SURVEY_SLOW     32

/* What was found. */
struct survey_result {
    uint64_t taken_ms; /* when, by the loops' clock; 0: never yet */
    struct top_channels top;
    size_t slow_count;
    struct slow_client slow[SURVEY_SLOW]; /* in no order */
};

struct survey {
    uv_mutex_t lock;
    uv_cond_t done;
    unsigned missing;             /* workers that have not answered */
    bool has_grown;               /* `growing` is newer than `last` */
    struct survey_result growing; /* of those that have; the workers' while any is missing */
    struct survey_result last;    /* whole; the main loop's */
};

struct channels;

/* COMMAND_SURVEY: a worker's part, and how far it is. */
struct survey_command {
    struct command command;
    struct survey *survey;
    size_t slot;       /* the next to look at */
    size_t slot_count; /* of the table when it began; another size is another order */
    unsigned restarts;
    struct top_channels top;
};

/* 0 or a libuv error. */
int survey_init(struct survey *survey);
void survey_deinit(struct survey *survey);

/* Asks the workers anew, unless that was done a moment ago, and waits SURVEY_WAIT_MS at most.
 * Returns the last whole result; main loop only. */
const struct survey_result *survey_take(struct survey *survey, struct worker **workers,
                                        unsigned worker_count, uint64_t now_ms);

/* A worker's turn: looks at the next slots. True when that was all. */
bool survey_look(struct survey_command *command, const struct channels *channels);

/* Hands in what a worker has found by `now_ms`, all or not, and frees the command. */
void survey_answer(struct survey_command *command, const struct slow_clients *slow,
                   uint64_t now_ms);

#endif
