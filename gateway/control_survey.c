/*
 * A survey is asked of all gateways, this one included. Each lets its workers count (census.h) and
 * sends what each has found as it comes, in pieces that are no burden to the bus; the last piece of
 * the last worker says that this was all.
 */
#include <string.h>

#include "common/memory.h"
#include "gateway/census.h"
#include "gateway/hub.h"

#define PIECE_CHANNELS 1000

/* Of our workers at a survey of some gateway. */
struct answering {
    struct list link;
    uint64_t asker;
    uint64_t id;
    unsigned missing;
};

/* Asking. */

static void free_channel(struct map_entry *entry, void *context)
{
    struct control_survey *survey = context;

    map_remove(&survey->found, entry);
    memory_free(container_of(entry, struct control_channel, entry));
}

static void forget(struct control_survey *survey)
{
    map_each(&survey->found, free_channel, survey);
    map_deinit(&survey->found);
}

static void leave(struct control_survey *survey)
{
    loop_cancel(survey->control->hub->loop, &survey->deadline);
    list_remove(&survey->link);
    survey->control = NULL;
}

static void finish(struct control_survey *survey)
{
    struct map found = survey->found;
    struct control_survey rest = {.found = found};

    leave(survey);
    survey->done(survey); /* which may free it */
    forget(&rest);
}

static void on_deadline(struct waiter *waiter)
{
    finish(container_of(waiter, struct control_survey, deadline));
}

void control_survey_start(struct control *control, struct control_survey *survey,
                          const char *pattern)
{
    Carillon__Control__Survey ask = CARILLON__CONTROL__SURVEY__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;

    survey->found = (struct map){0};
    survey->is_too_much = false;
    survey->control = control;
    survey->id = ++control->survey_id;
    survey->missing = control->nodes.count + 1;
    list_init(&survey->link);
    list_append(&control->surveys, &survey->link);
    waiter_init(&survey->deadline, on_deadline);
    loop_wait(control->hub->loop, &survey->deadline, CONTROL_FOUND_MS);
    ask.id = survey->id;
    ask.pattern = (char *)pattern;
    act.act_case = CARILLON__CONTROL__CONTROL__ACT_SURVEY;
    act.survey = &ask;
    control_say(control, 0, &act);
}

void control_survey_cancel(struct control_survey *survey)
{
    if (!survey->control)
        return;
    leave(survey);
    forget(survey);
}

void control_surveys_end(struct control *control)
{
    while (!list_is_empty(&control->surveys))
        finish(container_of(control->surveys.next, struct control_survey, link));
    while (!list_is_empty(&control->answering)) {
        struct answering *answering = container_of(control->answering.next, struct answering, link);

        list_remove(&answering->link);
        memory_free(answering);
    }
}

static void add(struct control_survey *survey, const Carillon__Control__Found__Channel *found)
{
    size_t size = strlen(found->name);
    struct map_entry *entry = map_find(&survey->found, found->name, size);
    struct control_channel *channel;

    if (entry) {
        container_of(entry, struct control_channel, entry)->clients += found->clients;
        return;
    }
    if (survey->found.count >= CONTROL_CHANNEL_LIMIT) {
        survey->is_too_much = true;
        return;
    }
    channel = memory_zeroed(1, sizeof(*channel) + size + 1);
    channel->clients = found->clients;
    memcpy(channel->name, found->name, size);
    map_insert(&survey->found, &channel->entry, channel->name, size);
}

void control_survey_found(struct control *control, const Carillon__Control__Found *found)
{
    struct list *link = control->surveys.next;

    while (link != &control->surveys &&
           container_of(link, struct control_survey, link)->id != found->id)
        link = link->next;
    if (link == &control->surveys)
        return;

    struct control_survey *survey = container_of(link, struct control_survey, link);

    for (size_t i = 0; i < found->n_channels; i++)
        add(survey, found->channels[i]);
    if (!found->has_more && --survey->missing == 0)
        finish(survey);
}

/* Answering. */

static void send_piece(struct control *control, const struct answering *answering,
                       Carillon__Control__Found__Channel **channels, size_t count, bool has_more)
{
    Carillon__Control__Found found = CARILLON__CONTROL__FOUND__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;

    found.id = answering->id;
    found.channels = channels;
    found.n_channels = count;
    found.has_more = has_more;
    act.act_case = CARILLON__CONTROL__CONTROL__ACT_FOUND;
    act.found = &found;
    control_say(control, answering->asker, &act);
}

struct piece {
    Carillon__Control__Found__Channel items[PIECE_CHANNELS];
    Carillon__Control__Found__Channel *pointers[PIECE_CHANNELS];
    char names[PIECE_CHANNELS][MESSAGE_CHANNEL_LIMIT + 1];
};

static size_t fill_piece(struct piece *piece, const struct census_command *command, size_t *at)
{
    struct census_channel channel;
    const char *name;
    size_t count = 0;

    while (count < PIECE_CHANNELS && census_next(command, at, &name, &channel)) {
        carillon__control__found__channel__init(&piece->items[count]);
        memcpy(piece->names[count], name, channel.name_size);
        piece->names[count][channel.name_size] = '\0';
        piece->items[count].name = piece->names[count];
        piece->items[count].clients = channel.clients;
        piece->pointers[count] = &piece->items[count];
        count++;
    }
    return count;
}

static void send_found(struct control *control, const struct answering *answering,
                       const struct census_command *command)
{
    struct piece *piece = memory_allocate(sizeof(*piece));
    size_t at = 0;

    do {
        size_t count = fill_piece(piece, command, &at);

        send_piece(control, answering, piece->pointers, count,
                   at < command->found.size || answering->missing > 0);
    } while (at < command->found.size);
    memory_free(piece);
}

static struct answering *find_answering(const struct control *control, uint64_t asker, uint64_t id)
{
    for (struct list *link = control->answering.next; link != &control->answering;
         link = link->next) {
        struct answering *answering = container_of(link, struct answering, link);

        if (answering->asker == asker && answering->id == id)
            return answering;
    }
    return NULL;
}

static void pass_on(struct census_command *command)
{
    command->command.kind = COMMAND_CENSUS;
    inbox_post(&command->command.worker->inbox, &command->command.item);
}

void control_survey_asked(struct control *control, uint64_t node,
                          const Carillon__Control__Survey *survey)
{
    const struct hub *hub = control->hub;
    struct answering *answering;

    if (strlen(survey->pattern) > CENSUS_PATTERN_LIMIT || hub->worker_count == 0)
        return;
    answering = memory_zeroed(1, sizeof(*answering));
    answering->asker = node;
    answering->id = survey->id;
    answering->missing = hub->worker_count;
    list_init(&answering->link);
    list_append(&control->answering, &answering->link);
    for (unsigned i = 0; i < hub->worker_count; i++) {
        struct census_command *command = memory_zeroed(1, sizeof(*command));

        command->command.worker = hub->workers[i];
        command->asker = node;
        command->id = survey->id;
        memcpy(command->pattern, survey->pattern, strlen(survey->pattern) + 1);
        pass_on(command);
    }
}

void control_counted(struct control *control, struct census_command *command)
{
    struct answering *answering =
        control->hub ? find_answering(control, command->asker, command->id) : NULL;

    if (answering && !command->is_done) {
        pass_on(command);
        return;
    }
    if (answering) {
        answering->missing--;
        send_found(control, answering, command);
        if (answering->missing == 0) {
            list_remove(&answering->link);
            memory_free(answering);
        }
    }
    census_destroy(command);
}
