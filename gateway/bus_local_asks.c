/* Questions wait for the loop's next turn, because nobody is answered from inside the call that
 * asks; what is true then is the answer. */
#include <string.h>

#include "common/memory.h"
#include "gateway/bus_local.h"

/* What an ask of this bus is: its `own` points at one of these functions' slots. */
struct local_answerer {
    void (*answer)(struct local_bus *bus, struct bus_ask *ask);
};

static const struct bus_answer nothing;

static struct local_bus *of_bus(struct bus *bus)
{
    return container_of(bus, struct local_bus, bus);
}

static struct local_channel *channel_of(const struct local_bus *bus, const struct bus_ask *ask)
{
    return local_channel_find(bus, ask->channel, ask->channel_size);
}

/* History. */

/* What is asked for, as history_read takes it: true where the messages next to the position are
 * still there. A position in another epoch is in none of ours. */
static bool begin_reading(const struct local_channel *channel, const struct bus_ask *ask,
                          struct history_reader *reader)
{
    const struct history *history = &channel->history;
    enum history_order order = ask->is_reverse ? HISTORY_REVERSE : HISTORY_FORWARD;
    uint64_t limit = ask->limit < BUS_PAGE_LIMIT ? ask->limit : BUS_PAGE_LIMIT;
    uint64_t start = ask->is_reverse ? history->top + 1 : 0;

    if (ask->epoch[0] != '\0' && strcmp(ask->epoch, channel->epoch) == 0) {
        enum history_answer found = history_read(history, reader, ask->offset, order, limit);

        if (found != HISTORY_AHEAD)
            return found == HISTORY_FOUND;
    }
    history_read(history, reader, start, order, limit);
    return ask->epoch[0] == '\0';
}

static void answer_history(struct local_bus *bus, struct bus_ask *ask)
{
    const struct local_channel *channel = channel_of(bus, ask);
    struct bus_answer answer = {.is_lost = ask->epoch[0] != '\0'};
    struct message **messages = NULL;

    if (channel && (ask->begins || channel->history.top > 0)) {
        struct history_reader reader;
        struct message *message;

        answer.is_lost = !begin_reading(channel, ask, &reader);
        epoch_copy(answer.epoch, channel->epoch);
        answer.offset = channel->history.top;
        messages = memory_allocate(((size_t)reader.left + 1) * sizeof(struct message *));
        /* Whoever is answered may publish, and what is not kept any more be gone. */
        while ((message = history_next(&reader)))
            messages[answer.message_count++] = message_ref(message);
        answer.messages = messages;
    }
    ask->answered(ask, 0, &answer);
    for (size_t i = 0; messages && i < answer.message_count; i++)
        message_unref(messages[i]);
    memory_free(messages);
}

static void answer_forget(struct local_bus *bus, struct bus_ask *ask)
{
    struct local_channel *channel = channel_of(bus, ask);

    if (channel)
        history_clear(&channel->history);
    ask->answered(ask, 0, &nothing);
}

/* Presence. */

static void answer_presence(struct local_bus *bus, struct bus_ask *ask)
{
    struct bus_presences *presences = &bus->presences;
    struct bus_answer answer = {0};
    struct bus_present *list =
        bus_presences_list(presences, ask->channel, ask->channel_size, &answer.present_count);

    answer.present = list;
    ask->answered(ask, 0, &answer);
    memory_free(list);
}

void local_presence_set(struct bus *base, const char *channel, size_t channel_size,
                        const struct bus_present *who)
{
    bus_presences_set(&of_bus(base)->presences, channel, channel_size, who);
}

void local_presence_remove(struct bus *base, const char *channel, size_t channel_size,
                           struct text client)
{
    bus_presences_remove(&of_bus(base)->presences, channel, channel_size, client);
}

/* Asking. */

static void put(struct bus *base, struct bus_ask *ask, const struct local_answerer *answerer)
{
    struct local_bus *bus = of_bus(base);

    ask->own = (void *)answerer;
    list_init(&ask->link);
    list_append(&bus->asks, &ask->link);
    local_bus_wake(bus);
}

void local_ask_history(struct bus *base, struct bus_ask *ask)
{
    static const struct local_answerer history = {answer_history};

    put(base, ask, &history);
}

void local_forget_history(struct bus *base, struct bus_ask *ask)
{
    static const struct local_answerer forget = {answer_forget};

    put(base, ask, &forget);
}

void local_ask_presence(struct bus *base, struct bus_ask *ask)
{
    static const struct local_answerer presence = {answer_presence};

    put(base, ask, &presence);
}

void local_asks_answer(struct local_bus *bus, int error)
{
    struct list asks;

    /* Whoever asks again from inside an answer waits for the next turn. */
    list_init(&asks);
    list_append_all(&asks, &bus->asks);
    while (!list_is_empty(&asks)) {
        struct bus_ask *ask = container_of(asks.next, struct bus_ask, link);
        const struct local_answerer *answerer = ask->own;

        list_remove(&ask->link);
        if (error)
            ask->answered(ask, error, &nothing);
        else
            answerer->answer(bus, ask);
    }
}
