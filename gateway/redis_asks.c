/*
 * An answer may be larger than what Redis should collect in one go, or a reply may hold. So it is
 * asked for piece by piece, each from where the one before ended:
 *
 * - History, from the offset that came last, in the epoch that came first. Where the epoch has
 *   changed meanwhile, all starts over. What was trimmed under our hands, forward, is a loss.
 * - Presence, by a cursor of HSCAN: whoever is there all the time is found, some perhaps twice.
 *
 * An answer of history ends early at ANSWER_BYTES, as bus.h allows. One of presence that is larger
 * than that would be wrong, and is none.
 */
#include "gateway/redis_asks.h"

#include <assert.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "gateway/bus_presence.h"
#include "gateway/bus_redis.h"
#include "gateway/redis_script_ask.h"

#define ASKING_LIMIT    64 /* commands that are out at a time */
#define ANSWER_LIMIT_MS 5000
#define ANSWER_BYTES    ((size_t)64 * 1024 * 1024)
#define RESTART_LIMIT   3

struct redis_ask;

/* What a question consists of. */
struct ask_kind {
    void (*send)(struct redis_ask *ask);
    /* Takes a reply: true if there is more to ask for. */
    bool (*take)(struct redis_ask *ask, const redisReply *reply);
};

struct redis_ask {
    struct redis_bus *bus;
    struct bus_ask *ask;
    const struct ask_kind *kind;
    struct list link; /* while it waits */
    uint64_t deadline_ms;
    int error;
    size_t bytes; /* of the answer */

    /* Of history: what the answer is going to be, and where it goes on. */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    char previous[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t fork;
    uint64_t top;
    bool is_begun;
    bool is_lost;
    unsigned restarts;
    struct message **messages;
    size_t count;
    size_t capacity;

    /* Of presence. */
    struct bus_presences present;
    char cursor[24];
};

static struct redis_ask *of_link(struct list *link)
{
    return container_of(link, struct redis_ask, link);
}

static uint64_t now_of(const struct redis_bus *bus)
{
    return loop_now_ms(bus->bus.loop);
}

/* Ends. */

static void drop_messages(struct redis_ask *ask)
{
    for (size_t i = 0; i < ask->count; i++)
        message_unref(ask->messages[i]);
    memory_free(ask->messages);
    ask->messages = NULL;
    ask->count = ask->capacity = ask->bytes = 0;
}

static void tell(struct redis_ask *ask)
{
    struct bus_answer answer = {0};
    struct bus_present *present = NULL;

    if (!ask->error) {
        present = bus_presences_list(&ask->present, ask->ask->channel, ask->ask->channel_size,
                                     &answer.present_count);
        answer.present = present;
        answer.offset = ask->top;
        epoch_copy(answer.previous, ask->previous);
        answer.fork = ask->fork;
        answer.is_lost = ask->is_lost;
        answer.messages = ask->messages;
        answer.message_count = ask->count;
    }
    if (!ask->error && ask->is_begun)
        epoch_copy(answer.epoch, ask->epoch);
    ask->ask->answered(ask->ask, ask->error, &answer);
    memory_free(present);
}

static void finish(struct redis_ask *ask, int error)
{
    list_remove(&ask->link);
    ask->error = error;
    tell(ask);
    drop_messages(ask);
    bus_presences_deinit(&ask->present);
    memory_free(ask);
}

/* Asking. */

static void on_answered(void *context, uint64_t tag, const redisReply *reply);

static struct redis_command *begin(struct redis_ask *ask, enum redis_script script, unsigned keys,
                                   const char *const *ends)
{
    struct redis_command *command = redis_bus_begin(ask->bus, script, keys);

    for (unsigned i = 0; i < keys; i++)
        redis_bus_add_key(ask->bus, ask->ask->channel, ask->ask->channel_size, ends[i]);
    return command;
}

static void send_more(struct redis_bus *bus)
{
    struct redis_asks *asks = &bus->asks;

    while (redis_bus_is_usable(bus) && asks->asking < ASKING_LIMIT &&
           !list_is_empty(&asks->waiting)) {
        struct redis_ask *ask = of_link(asks->waiting.next);

        list_remove(&ask->link);
        asks->asking++;
        ask->kind->send(ask);
        redis_command_send(&bus->command, &bus->commands, on_answered, ask, 0);
    }
}

static void put(struct redis_bus *bus, struct bus_ask *bus_ask, const struct ask_kind *kind)
{
    struct redis_ask *ask = memory_zeroed(1, sizeof(*ask));

    ask->bus = bus;
    ask->ask = bus_ask;
    ask->kind = kind;
    ask->deadline_ms = now_of(bus) + ANSWER_LIMIT_MS;
    epoch_copy(ask->epoch, bus_ask->epoch);
    ask->offset = bus_ask->offset;
    ask->cursor[0] = '0';
    bus_presences_init(&ask->present);
    list_init(&ask->link);
    list_append(&bus->asks.waiting, &ask->link);
    send_more(bus);
    if (!redis_bus_is_usable(bus))
        redis_bus_tell_soon(bus);
}

/* Redis refused: ends the ask, or leaves it to the next tick. */
static void handle_error(struct redis_ask *ask, const redisReply *reply)
{
    struct redis_bus *bus = ask->bus;

    switch (redis_bus_fault(bus, reply)) {
    case REDIS_FAULT_SERVER:
        finish(ask, UV_ENOTCONN);
        return;
    case REDIS_FAULT_FINAL:
        if (redis_bus_may_warn(bus, REDIS_WARNING_REFUSED))
            log_event(LOG_WARNING, log_name("question refused"), log_text("reason", reply->str));
        finish(ask, UV_EPROTO);
        return;
    default:
        list_append(&bus->asks.retrying, &ask->link);
        return;
    }
}

static void on_answered(void *context, uint64_t tag, const redisReply *reply)
{
    struct redis_ask *ask = context;
    struct redis_bus *bus = ask->bus;

    (void)tag;
    bus->asks.asking--;
    if (!reply)
        finish(ask, bus->is_closing ? UV_ECANCELED : UV_ENOTCONN);
    else if (redis_reply_is_error(reply))
        handle_error(ask, reply);
    else if (ask->kind->take(ask, reply) && !ask->error)
        list_append(&bus->asks.waiting, &ask->link);
    else
        finish(ask, ask->error);
    send_more(bus);
}

/* The script said something else than it says: somebody else answers. */
static bool give_up(struct redis_ask *ask)
{
    redis_link_drop(&ask->bus->commands, "a question was answered with nonsense");
    ask->error = UV_ENOTCONN;
    return false;
}

/* History. */

static uint64_t limit_of(const struct redis_ask *ask)
{
    return ask->ask->limit < BUS_PAGE_LIMIT ? ask->ask->limit : BUS_PAGE_LIMIT;
}

static void send_history(struct redis_ask *ask)
{
    static const char *const keys[] = {REDIS_KEY_STREAM, REDIS_KEY_META};
    struct redis_command *command = begin(ask, REDIS_SCRIPT_HISTORY, 2, keys);
    uint64_t left = limit_of(ask) - ask->count;

    redis_command_add_text(command, ask->epoch);
    redis_command_add_number(command, ask->offset);
    redis_command_add_number(command, ask->ask->is_reverse);
    redis_command_add_number(command, left < REDIS_ATTACH_COUNT ? left : REDIS_ATTACH_COUNT);
    redis_command_add_number(command, REDIS_ATTACH_BYTES);
    redis_command_add_number(command,
                             ask->bus->bus.settings.message_limit_bytes + REDIS_ENVELOPE_EXTRA);
    if (ask->ask->begins)
        redis_bus_add_fresh_epoch(ask->bus);
    else
        redis_command_add_text(command, "");
}

static void start_over(struct redis_ask *ask)
{
    drop_messages(ask);
    epoch_copy(ask->epoch, ask->ask->epoch);
    ask->offset = ask->ask->offset;
    ask->is_begun = false;
    if (++ask->restarts > RESTART_LIMIT)
        ask->error = UV_ETIMEDOUT;
}

static void add_message(struct redis_ask *ask, struct message *message)
{
    if (ask->count == ask->capacity) {
        ask->capacity = ask->capacity ? ask->capacity * 2 : 16;
        ask->messages = memory_resize(ask->messages, ask->capacity * sizeof(struct message *));
    }
    ask->messages[ask->count++] = message;
    ask->bytes += message_content_size(message);
}

static void add_entry(struct redis_ask *ask, uint64_t offset, const redisReply *envelope)
{
    const struct bus_ask *asked = ask->ask;
    struct message *message = NULL;
    int error = envelope_read(envelope->str, (size_t)envelope->len,
                              (size_t)ask->bus->bus.settings.message_limit_bytes, &message);

    ask->offset = offset;
    if (error || message_is_ephemeral(message->kind) ||
        message->channel_size != asked->channel_size ||
        memcmp(message->channel, asked->channel, asked->channel_size) != 0) {
        message_unref(message);
        ask->is_lost = true;
        return;
    }
    /* The entry may bear the epoch that the history had when it was written. */
    epoch_copy(message->epoch, ask->epoch);
    message->offset = offset;
    add_message(ask, message);
}

/* False where the entries do not go on from those that came before. */
static bool goes_on(struct redis_ask *ask, const struct redis_history_page *page)
{
    bool is_reverse = ask->ask->is_reverse;

    if (!ask->is_begun) {
        epoch_copy(ask->epoch, page->epoch);
        epoch_copy(ask->previous, page->previous);
        ask->fork = page->fork;
        ask->top = page->top;
        ask->is_lost = page->is_lost;
        ask->is_begun = true;
        return true;
    }
    if (!is_reverse)
        ask->top = page->top;
    if (page->is_lost)
        ask->is_lost = ask->is_lost || !is_reverse;
    return !page->is_lost;
}

static bool take_history(struct redis_ask *ask, const redisReply *reply)
{
    struct redis_history_page page;
    const redisReply *envelope;
    uint64_t offset;

    if (!redis_read_history(reply, &page))
        return give_up(ask);
    if (ask->is_begun && strcmp(page.epoch, ask->epoch) != 0) {
        start_over(ask);
        return true;
    }
    if (!goes_on(ask, &page))
        return false;
    for (size_t i = 0; redis_history_entry(&page, i, &offset, &envelope); i++)
        add_entry(ask, offset, envelope);
    return page.has_more && ask->count < limit_of(ask) && ask->bytes < ANSWER_BYTES;
}

void redis_asks_history(struct redis_bus *bus, struct bus_ask *ask)
{
    static const struct ask_kind history = {send_history, take_history};

    put(bus, ask, &history);
}

/* Forgetting. */

static void send_forget(struct redis_ask *ask)
{
    static const char *const keys[] = {REDIS_KEY_STREAM};

    begin(ask, REDIS_SCRIPT_FORGET, 1, keys);
}

static bool take_nothing(struct redis_ask *ask, const redisReply *reply)
{
    (void)ask;
    (void)reply;
    return false;
}

void redis_asks_forget(struct redis_bus *bus, struct bus_ask *ask)
{
    static const struct ask_kind forget = {send_forget, take_nothing};

    put(bus, ask, &forget);
}

/* Presence. */

static void send_presence(struct redis_ask *ask)
{
    static const char *const keys[] = {REDIS_KEY_WHO, REDIS_KEY_DEADLINE};
    struct redis_command *command = begin(ask, REDIS_SCRIPT_PRESENT, 2, keys);

    redis_command_add_text(command, ask->cursor);
    redis_command_add_number(command, REDIS_PRESENT_COUNT);
    redis_command_add_number(command, REDIS_PRESENT_LIMIT);
}

static bool take_presence(struct redis_ask *ask, const redisReply *reply)
{
    struct redis_present_page page;
    struct bus_present who;

    if (!redis_read_present(reply, &page))
        return give_up(ask);
    for (size_t i = 0; i < redis_present_count(&page); i++) {
        if (!redis_present_entry(&page, i, &who))
            continue;
        bus_presences_set(&ask->present, ask->ask->channel, ask->ask->channel_size, &who);
        ask->bytes +=
            sizeof(struct bus_presence_member) + who.client.size + who.user.size + who.info.size;
    }
    if (ask->bytes > ANSWER_BYTES)
        ask->error = UV_ENOBUFS;
    memcpy(ask->cursor, page.cursor, sizeof(ask->cursor));
    return strcmp(ask->cursor, "0") != 0;
}

void redis_asks_presence(struct redis_bus *bus, struct bus_ask *ask)
{
    static const struct ask_kind presence = {send_presence, take_presence};

    redis_presence_announce(bus); /* whoever came just now is among them */
    put(bus, ask, &presence);
}

/* Time, and the end. */

static void end_all(struct list *list, int error)
{
    struct list all;

    /* Whoever asks again from inside an answer is told another time. */
    list_init(&all);
    list_append_all(&all, list);
    while (!list_is_empty(&all))
        finish(of_link(all.next), error);
}

void redis_asks_tell(struct redis_bus *bus)
{
    if (bus->is_closing || redis_bus_is_usable(bus))
        return;
    end_all(&bus->asks.waiting, UV_ENOTCONN);
    end_all(&bus->asks.retrying, UV_ENOTCONN);
}

void redis_asks_retry(struct redis_bus *bus)
{
    struct redis_asks *asks = &bus->asks;
    struct list all;

    redis_asks_tell(bus);
    list_init(&all);
    list_append_all(&all, &asks->retrying);
    while (!list_is_empty(&all)) {
        struct redis_ask *ask = of_link(all.next);

        list_remove(&ask->link);
        if (now_of(bus) >= ask->deadline_ms)
            finish(ask, UV_ETIMEDOUT);
        else
            list_append(&asks->waiting, &ask->link);
    }
    send_more(bus);
}

void redis_asks_close(struct redis_bus *bus)
{
    end_all(&bus->asks.waiting, UV_ECANCELED);
    end_all(&bus->asks.retrying, UV_ECANCELED);
}

void redis_asks_init(struct redis_asks *asks)
{
    *asks = (struct redis_asks){0};
    list_init(&asks->waiting);
    list_init(&asks->retrying);
}
