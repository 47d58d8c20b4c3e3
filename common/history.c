/*
 * The links of the list of all messages are in the rings' slots, so that a kept message costs no
 * allocation of its own. Growing and shrinking a ring moves links, which costs O(1) a message over
 * time, as the ring itself does.
 *
 * Histories that live equally long are in one list, and an append moves its history to the end of
 * it. So these lists and that of the messages are ordered by time, and what is due, by age or for
 * room, is found at their beginning.
 *
 * A message's memory is what was allocated for it. That a subscriber's queue may hold the same
 * message does not matter here: dropping ours is all that we can do.
 */
#include "common/history.h"

#include <assert.h>

#include "common/memory.h"

#define SMALLEST_RING   4
#define ALLOCATOR_BYTES 16 /* glibc's header and rounding, on average, for one allocation */

/* The histories that have the same time to live; there while there are any. */
struct history_age {
    struct list link; /* in `histories.ages` */
    uint64_t ttl_ms;
    struct list members; /* the one that was silent longest first */
};

struct history_entry {
    struct list link; /* in `histories.messages` */
    struct message *message;
    struct history *history;
};

static size_t cost_of(const struct message *message)
{
    return sizeof(*message) + message->channel_size + 1 + message_content_size(message) +
           ALLOCATOR_BYTES;
}

static struct history_entry *entry_at(const struct history *history, size_t index)
{
    return &history->ring[(history->first + index) & (history->capacity - 1)];
}

static uint64_t oldest_offset(const struct history *history)
{
    return history->top - history->count + 1;
}

static void move_entry(struct history_entry *to, const struct history_entry *from)
{
    *to = *from;
    to->link.next->previous = &to->link;
    to->link.previous->next = &to->link;
}

/* Gives the ring another capacity, none if that is 0; the messages must fit. */
static void resize(struct history *history, size_t capacity)
{
    struct histories *family = history->family;
    struct history_entry *ring = capacity ? memory_allocate(capacity * sizeof(*ring)) : NULL;

    assert(history->count <= capacity);
    for (size_t i = 0; i < history->count; i++)
        move_entry(&ring[i], entry_at(history, i));
    memory_free(history->ring);
    family->memory += capacity * sizeof(*ring);
    family->memory -= history->capacity * sizeof(*ring);
    history->ring = ring;
    history->capacity = capacity;
    history->first = 0;
}

static struct history_age *find_or_create_age(struct histories *family, uint64_t ttl_ms)
{
    struct history_age *age;

    for (struct list *at = family->ages.next; at != &family->ages; at = at->next) {
        age = container_of(at, struct history_age, link);
        if (age->ttl_ms == ttl_ms)
            return age;
    }
    age = memory_allocate(sizeof(*age));
    age->ttl_ms = ttl_ms;
    list_init(&age->members);
    list_init(&age->link);
    list_append(&family->ages, &age->link);
    return age;
}

static void leave_age(struct history *history)
{
    struct history_age *age = history->age;

    history->age = NULL;
    list_remove(&history->link);
    if (!list_is_empty(&age->members))
        return;
    list_remove(&age->link);
    memory_free(age);
}

/* It was silent until now, and may live as long as `ttl_ms` from here on. */
static void come_of_age(struct history *history, uint64_t ttl_ms, uint64_t now_ms)
{
    struct history_age *before = history->age;

    if (before && before->ttl_ms != ttl_ms)
        leave_age(history);
    if (!history->age)
        history->age = find_or_create_age(history->family, ttl_ms);
    history->last_ms = now_ms;
    list_remove(&history->link);
    list_append(&history->age->members, &history->link);
}

static void begin(struct history *history)
{
    resize(history, SMALLEST_RING);
    history->family->memory += history->owner_bytes;
}

static void end(struct history *history)
{
    leave_age(history);
    list_remove(&history->cleared_link);
    resize(history, 0);
    history->family->memory -= history->owner_bytes;
}

static void take_oldest(struct history *history)
{
    struct history_entry *entry = entry_at(history, 0);

    history->family->memory -= cost_of(entry->message);
    list_remove(&entry->link);
    message_unref(entry->message);
    history->first = (history->first + 1) & (history->capacity - 1);
    history->count--;
}

static void take_all(struct history *history)
{
    while (history->count > 0)
        take_oldest(history);
    end(history);
}

static void drop_for_room(struct history *history)
{
    history->family->evicted++;
    take_oldest(history);
    if (history->count == 0) {
        end(history);
        history->family->emptied(history);
    } else if (history->capacity > SMALLEST_RING && history->count < history->capacity / 4) {
        resize(history, history->capacity / 2);
    }
}

void histories_init(struct histories *histories, const struct history_limits *limits,
                    void (*emptied)(struct history *history))
{
    *histories = (struct histories){.limits = *limits, .emptied = emptied};
    list_init(&histories->ages);
    list_init(&histories->messages);
    list_init(&histories->cleared);
}

static uint64_t due_of(const struct history *history)
{
    return history->last_ms + history->age->ttl_ms;
}

/* The history that is due first, or NULL. */
static struct history *most_silent(const struct histories *histories)
{
    struct history *first = NULL;

    for (struct list *at = histories->ages.next; at != &histories->ages; at = at->next) {
        struct history_age *age = container_of(at, struct history_age, link);
        struct history *history = container_of(age->members.next, struct history, link);

        if (!first || due_of(history) < due_of(first))
            first = history;
    }
    return first;
}

uint64_t histories_due_ms(const struct histories *histories)
{
    const struct history *history = most_silent(histories);

    return history ? due_of(history) : UINT64_MAX;
}

static void empty(struct history *history)
{
    take_all(history);
    history->family->emptied(history);
}

void histories_expire(struct histories *histories, uint64_t now_ms)
{
    while (histories_due_ms(histories) <= now_ms)
        empty(most_silent(histories));
}

void history_init(struct history *history, struct histories *family, size_t owner_bytes)
{
    *history = (struct history){.family = family, .owner_bytes = owner_bytes};
    list_init(&history->link);
    list_init(&history->cleared_link);
}

void history_deinit(struct history *history)
{
    if (history_is_held(history))
        take_all(history);
}

bool history_is_held(const struct history *history)
{
    return history->capacity > 0;
}

void history_clear(struct history *history)
{
    while (history->count > 0)
        take_oldest(history);
    if (!history_is_held(history))
        return;
    resize(history, SMALLEST_RING);
    list_remove(&history->cleared_link);
    list_append(&history->family->cleared, &history->cleared_link);
}

void history_trim(struct history *history, uint64_t offset)
{
    if (offset >= history->top) {
        history_clear(history);
        return;
    }
    while (history->count > 0 && oldest_offset(history) <= offset)
        take_oldest(history);
}

static void push(struct history *history, struct message *message)
{
    struct histories *family = history->family;

    if (history->capacity == 0)
        begin(history);
    else if (history->count == history->capacity)
        resize(history, history->capacity * 2);

    struct history_entry *entry = entry_at(history, history->count++);

    list_remove(&history->cleared_link);
    entry->message = message_ref(message);
    entry->history = history;
    list_append(&family->messages, &entry->link);
    family->memory += cost_of(message);
}

static void make_room(struct histories *family)
{
    while (family->memory > family->limits.memory_limit) {
        if (list_is_empty(&family->cleared))
            drop_for_room(container_of(family->messages.next, struct history_entry, link)->history);
        else
            empty(container_of(family->cleared.next, struct history, cleared_link));
    }
}

void history_append_as(struct history *history, struct message *message,
                       const struct history_terms *terms, uint64_t now_ms)
{
    struct histories *family = history->family;

    assert(message->offset == history->top + 1 ||
           (history->count == 0 && message->offset > history->top));
    history->top = message->offset;
    if (terms->message_limit == 0) {
        history_deinit(history);
        family->emptied(history);
        return;
    }
    while (history->count >= terms->message_limit)
        take_oldest(history);
    push(history, message);
    come_of_age(history, terms->ttl_ms, now_ms);
    make_room(family);
}

void history_append(struct history *history, struct message *message, uint64_t now_ms)
{
    const struct history_limits *limits = &history->family->limits;

    history_append_as(history, message,
                      &(struct history_terms){limits->message_limit, limits->ttl_ms}, now_ms);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

enum history_answer history_read(const struct history *history, struct history_reader *reader,
                                 uint64_t offset, enum history_order order, uint64_t limit)
{
    uint64_t oldest = oldest_offset(history);
    uint64_t top = history->top;

    *reader = (struct history_reader){.history = history, .order = order};
    if (order == HISTORY_FORWARD) {
        if (offset > top)
            return HISTORY_AHEAD;
        reader->offset = offset < oldest ? oldest : offset + 1;
        reader->left = smaller(limit, top + 1 - reader->offset);
        return offset + 1 < oldest ? HISTORY_GONE : HISTORY_FOUND;
    }
    if (offset > top && offset - top > 1)
        return HISTORY_AHEAD;
    if (offset <= oldest)
        return offset > 1 ? HISTORY_GONE : HISTORY_FOUND;
    reader->offset = offset - 1;
    reader->left = smaller(limit, offset - oldest);
    return HISTORY_FOUND;
}

struct message *history_next(struct history_reader *reader)
{
    const struct history *history = reader->history;

    if (reader->left == 0)
        return NULL;
    reader->left--;

    uint64_t offset = reader->order == HISTORY_FORWARD ? reader->offset++ : reader->offset--;

    return entry_at(history, (size_t)(offset - oldest_offset(history)))->message;
}
