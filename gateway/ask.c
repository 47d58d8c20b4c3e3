#include "gateway/ask.h"

#include <string.h>
#include <uv.h>

#include "common/memory.h"
#include "gateway/worker.h"

struct ask_command *ask_create(enum ask_kind kind, struct worker *worker, const char *channel,
                               size_t channel_size, void (*answered)(struct ask_command *command),
                               void *owner)
{
    struct ask_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = COMMAND_ASK;
    command->command.worker = worker;
    command->kind = kind;
    command->answered = answered;
    command->owner = owner;
    command->channel_size = channel_size;
    memcpy(command->channel, channel, channel_size);
    command->ask.channel = command->channel;
    command->ask.channel_size = channel_size;
    return command;
}

static void copy_messages(struct ask_command *command, const struct bus_answer *answer)
{
    if (answer->message_count == 0)
        return;

    struct message **messages = memory_zeroed(answer->message_count, sizeof(struct message *));

    for (size_t i = 0; i < answer->message_count; i++)
        messages[i] = message_ref(answer->messages[i]);
    command->answer.messages = messages;
    command->answer.message_count = answer->message_count;
}

static void copy_present(struct ask_command *command, const struct bus_answer *answer)
{
    struct bus_present *present;
    size_t bytes = 0;
    char *at;

    if (answer->present_count == 0)
        return;
    for (size_t i = 0; i < answer->present_count; i++) {
        const struct bus_present *who = &answer->present[i];

        bytes += who->client.size + who->user.size + who->info.size;
    }
    present = memory_zeroed(answer->present_count, sizeof(*present));
    at = memory_allocate(bytes + 1);
    command->present_bytes = at;
    for (size_t i = 0; i < answer->present_count; i++) {
        present[i].client = text_copy(&at, answer->present[i].client);
        present[i].user = text_copy(&at, answer->present[i].user);
        present[i].info = text_copy(&at, answer->present[i].info);
    }
    command->answer.present = present;
    command->answer.present_count = answer->present_count;
}

static void answer_one(struct ask_command *command, int error, const struct bus_answer *answer)
{
    command->error = error;
    if (!error) {
        epoch_copy(command->answer.epoch, answer->epoch);
        command->answer.offset = answer->offset;
        epoch_copy(command->answer.previous, answer->previous);
        command->answer.fork = answer->fork;
        command->answer.is_lost = answer->is_lost;
        copy_messages(command, answer);
        copy_present(command, answer);
    }
    command->command.kind = COMMAND_ANSWERED;
    inbox_post(&command->command.worker->inbox, &command->command.item);
}

static void on_answered(struct bus_ask *ask, int error, const struct bus_answer *answer)
{
    struct ask_command *command = container_of(ask, struct ask_command, ask);

    while (command) {
        struct ask_command *next = command->next;

        answer_one(command, error, answer);
        command = next;
    }
}

void ask_put(struct ask_command *command, struct bus *bus)
{
    static const struct bus_answer nothing;

    command->ask.answered = on_answered;
    if (!bus) {
        on_answered(&command->ask, UV_ECANCELED, &nothing);
        return;
    }
    switch (command->kind) {
    case ASK_HISTORY:
        bus_ask_history(bus, &command->ask);
        break;
    case ASK_PRESENCE:
        bus_ask_presence(bus, &command->ask);
        break;
    case ASK_FORGET:
        bus_forget_history(bus, &command->ask);
        break;
    }
}

void ask_deliver(struct ask_command *command)
{
    command->answered(command);
    ask_destroy(command);
}

void ask_destroy(struct ask_command *command)
{
    for (size_t i = 0; i < command->answer.message_count; i++)
        message_unref(command->answer.messages[i]);
    memory_free((void *)command->answer.messages);
    memory_free((void *)command->answer.present);
    memory_free(command->present_bytes);
    memory_free(command);
}

struct presence_command *presence_command_create(struct worker *worker, const char *channel,
                                                 size_t channel_size, const struct bus_present *who,
                                                 bool is_there)
{
    size_t bytes = who->client.size + (is_there ? who->user.size + who->info.size : 0);
    struct presence_command *command = memory_zeroed(1, sizeof(*command) + bytes);
    char *at = command->bytes;

    command->command.kind = COMMAND_PRESENCE;
    command->command.worker = worker;
    command->is_there = is_there;
    command->who.client = text_copy(&at, who->client);
    if (is_there) {
        command->who.user = text_copy(&at, who->user);
        command->who.info = text_copy(&at, who->info);
    }
    command->channel_size = channel_size;
    memcpy(command->channel, channel, channel_size);
    return command;
}
