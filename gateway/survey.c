/*
 * Slots of a table whose size changes in the middle are in another order then, so a worker begins
 * anew; where that happens again and again it answers with what it has.
 */
#include "gateway/survey.h"

#include "common/memory.h"
#include "gateway/channels.h"
#include "gateway/worker.h"

int survey_init(struct survey *survey)
{
    int error = uv_mutex_init(&survey->lock);

    return error ? error : uv_cond_init(&survey->done);
}

void survey_deinit(struct survey *survey)
{
    uv_mutex_destroy(&survey->lock);
    uv_cond_destroy(&survey->done);
}

static void ask(struct survey *survey, struct worker **workers, unsigned worker_count)
{
    for (unsigned i = 0; i < worker_count; i++) {
        struct survey_command *command = memory_zeroed(1, sizeof(*command));

        command->survey = survey;
        worker_survey(workers[i], command);
    }
    inbox_send_wakeups(); /* not at the end of the poll, which waits for the answers */
}

/* What the workers found is the result; they are done with it. */
static void adopt(struct survey *survey)
{
    if (survey->missing > 0 || !survey->has_grown)
        return;
    survey->last = survey->growing;
    top_channels_sort(&survey->last.top);
    survey->has_grown = false;
}

/* True if the workers are to be asked, who have the result that grows from now on. */
static bool begin(struct survey *survey, unsigned worker_count, uint64_t now_ms)
{
    adopt(survey);
    if (survey->missing > 0 ||
        (survey->last.taken_ms > 0 && now_ms - survey->last.taken_ms < SURVEY_REST_MS))
        return false;
    survey->growing = (struct survey_result){0};
    survey->missing = worker_count;
    survey->has_grown = true;
    return true;
}

/* Workers without a thread go on when the caller has gone back to its loop. */
static void await(struct survey *survey, bool have_threads)
{
    uint64_t deadline_ns = uv_hrtime() + SURVEY_WAIT_MS * UINT64_C(1000000);
    uint64_t now_ns;

    while (have_threads && survey->missing > 0 && (now_ns = uv_hrtime()) < deadline_ns)
        uv_cond_timedwait(&survey->done, &survey->lock, deadline_ns - now_ns);
}

const struct survey_result *survey_take(struct survey *survey, struct worker **workers,
                                        unsigned worker_count, uint64_t now_ms)
{
    uv_mutex_lock(&survey->lock);

    bool has_begun = begin(survey, worker_count, now_ms);

    uv_mutex_unlock(&survey->lock);
    if (has_begun)
        ask(survey, workers, worker_count);
    uv_mutex_lock(&survey->lock);
    await(survey, workers[0]->has_thread);
    adopt(survey);
    uv_mutex_unlock(&survey->lock);
    return &survey->last;
}

static void offer(struct map_entry *entry, void *context)
{
    struct top_channels *top = context;
    struct channel *channel = channel_of_entry(entry);
    size_t size;
    const char *name = channel_name(channel, &size);

    top_channels_offer(top, name, size, channel_subscriber_count(channel));
}

bool survey_look(struct survey_command *command, const struct channels *channels)
{
    const struct map *map = &channels->by_name;

    if (map->slot_count != command->slot_count) {
        if (command->slot > 0 && ++command->restarts > SURVEY_RESTARTS)
            return true;
        command->top = (struct top_channels){0};
        command->slot = 0;
        command->slot_count = map->slot_count;
    }
    map_look(map, command->slot, SURVEY_SLICE, offer, &command->top);
    command->slot += SURVEY_SLICE;
    return command->slot >= command->slot_count;
}

/* The newest stay. */
static void add_slow(struct survey_result *result, const struct slow_client *client)
{
    struct slow_client *place = &result->slow[0];

    if (client->connection == 0)
        return;
    if (result->slow_count < SURVEY_SLOW) {
        result->slow[result->slow_count++] = *client;
        return;
    }
    for (size_t i = 1; i < SURVEY_SLOW; i++) {
        if (result->slow[i].seen_ms < place->seen_ms)
            place = &result->slow[i];
    }
    if (place->seen_ms < client->seen_ms)
        *place = *client;
}

void survey_answer(struct survey_command *command, const struct slow_clients *slow, uint64_t now_ms)
{
    struct survey *survey = command->survey;

    uv_mutex_lock(&survey->lock);
    top_channels_merge(&survey->growing.top, &command->top);
    for (size_t i = 0; i < SLOW_CLIENTS; i++)
        add_slow(&survey->growing, &slow->items[i]);
    survey->growing.taken_ms = now_ms;
    if (--survey->missing == 0)
        uv_cond_signal(&survey->done);
    uv_mutex_unlock(&survey->lock);
    memory_free(command);
}
