#include "tests/bench/ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"

#define FIRST_CAPACITY 1024

void ledger_init(struct ledger *ledger, uint32_t run, uint32_t clients, uint32_t publishers)
{
    *ledger = (struct ledger){
        .run = run,
        .clients = clients,
        .publishers = publishers,
        .next_sequence = memory_zeroed(publishers, sizeof(uint32_t)),
        .positions = memory_zeroed(clients, sizeof(uint64_t)),
        .ring = memory_zeroed(FIRST_CAPACITY, sizeof(struct ledger_entry)),
        .capacity = FIRST_CAPACITY,
    };
}

void ledger_deinit(struct ledger *ledger)
{
    memory_free(ledger->next_sequence);
    memory_free(ledger->positions);
    memory_free(ledger->ring);
    memory_free(ledger->gaps);
}

void ledger_stamp(const struct ledger *ledger, char stamp[LEDGER_STAMP_BYTES], uint32_t publisher,
                  uint32_t sequence, uint64_t due_ns)
{
    char text[LEDGER_STAMP_BYTES + 1];

    snprintf(text, sizeof(text), "%08x %04x %08x %016llx ", ledger->run, publisher & 0xffff,
             sequence, (unsigned long long)due_ns);
    memcpy(stamp, text, LEDGER_STAMP_BYTES);
}

/* Reads `digits` hexadecimal digits and the space behind them. */
static bool read_field(const char **at, unsigned digits, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < digits; i++) {
        char digit = *(*at)++;

        if (digit >= '0' && digit <= '9')
            *value = *value << 4 | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            *value = *value << 4 | (uint64_t)(digit - 'a' + 10);
        else
            return false;
    }
    return *(*at)++ == ' ';
}

static bool parse(const struct ledger *ledger, const char *stamp, struct ledger_entry *entry)
{
    uint64_t run, publisher, sequence, due_ns;

    if (!read_field(&stamp, 8, &run) || run != ledger->run || !read_field(&stamp, 4, &publisher) ||
        publisher >= ledger->publishers || !read_field(&stamp, 8, &sequence) ||
        !read_field(&stamp, 16, &due_ns))
        return false;
    entry->publisher = (uint32_t)publisher;
    entry->sequence = (uint32_t)sequence;
    entry->due_ns = due_ns;
    return true;
}

static struct ledger_entry *entry_at(const struct ledger *ledger, uint64_t index)
{
    return &ledger->ring[index & (ledger->capacity - 1)];
}

static void grow(struct ledger *ledger)
{
    size_t capacity = ledger->capacity * 2;
    struct ledger_entry *ring = memory_zeroed(capacity, sizeof(*ring));

    for (uint64_t i = ledger->first; i < ledger->count; i++)
        ring[i & (capacity - 1)] = *entry_at(ledger, i);
    memory_free(ledger->ring);
    ledger->ring = ring;
    ledger->capacity = capacity;
}

static void append(struct ledger *ledger, const struct ledger_entry *entry, const char *stamp)
{
    if (ledger->count - ledger->first == ledger->capacity)
        grow(ledger);

    struct ledger_entry *target = entry_at(ledger, ledger->count++);

    *target = *entry;
    memcpy(target->stamp, stamp, LEDGER_STAMP_BYTES);
    target->remaining = ledger->clients;
}

static void take(struct ledger *ledger, uint32_t client, uint64_t index)
{
    entry_at(ledger, index)->remaining--;
    ledger->positions[client] = index + 1;
    ledger->received++;
}

__attribute__((format(printf, 2, 3))) static void note_fault(struct ledger *ledger,
                                                             const char *format, ...)
{
    va_list arguments;

    if (ledger_has_fault(ledger))
        return;
    va_start(arguments, format);
    vsnprintf(ledger->fault, sizeof(ledger->fault), format, arguments);
    va_end(arguments);
}

static void add_gap(struct ledger *ledger, uint32_t client, const struct ledger_entry *entry)
{
    if (ledger->gap_count == ledger->gap_capacity) {
        ledger->gap_capacity = ledger->gap_capacity ? ledger->gap_capacity * 2 : 64;
        ledger->gaps =
            memory_resize(ledger->gaps, ledger->gap_capacity * sizeof(struct ledger_gap));
    }
    ledger->gaps[ledger->gap_count++] =
        (struct ledger_gap){client, entry->publisher, entry->sequence};
}

static bool fill_gap(struct ledger *ledger, uint32_t client, const struct ledger_entry *entry)
{
    for (size_t i = 0; i < ledger->gap_count; i++) {
        const struct ledger_gap *gap = &ledger->gaps[i];

        if (gap->client == client && gap->publisher == entry->publisher &&
            gap->sequence == entry->sequence) {
            ledger->gaps[i] = ledger->gaps[--ledger->gap_count];
            return true;
        }
    }
    return false;
}

/* The index of a message, or `count` if it is not there. */
static uint64_t find(const struct ledger *ledger, const struct ledger_entry *wanted)
{
    uint64_t index = ledger->count;

    while (index > ledger->first) {
        const struct ledger_entry *entry = entry_at(ledger, --index);

        if (entry->publisher == wanted->publisher && entry->sequence == wanted->sequence)
            return index;
    }
    return ledger->count;
}

static bool receive_again(struct ledger *ledger, uint32_t client, const struct ledger_entry *entry,
                          uint64_t index)
{
    if (!fill_gap(ledger, client, entry)) {
        ledger->doubled++;
        note_fault(ledger, "client %u received message %u of publisher %u twice", client,
                   entry->sequence, entry->publisher);
        return false;
    }
    ledger->reordered++;
    note_fault(ledger, "client %u received message %u of publisher %u out of order", client,
               entry->sequence, entry->publisher);
    entry_at(ledger, index)->remaining--;
    ledger->received++;
    return true;
}

/* Everything but the message that was due next. */
static bool receive_unexpected(struct ledger *ledger, uint32_t client, struct ledger_entry *entry,
                               const char *stamp)
{
    uint32_t *next = &ledger->next_sequence[entry->publisher];
    uint64_t position = ledger->positions[client];
    uint64_t index = find(ledger, entry);

    if (index < position)
        return receive_again(ledger, client, entry, index);
    if (index == ledger->count) {
        /* Nothing is forgotten after a first fault, so an old message is a second one. */
        if (entry->sequence < *next && !ledger_has_fault(ledger)) {
            ledger->doubled++;
            note_fault(ledger, "client %u received message %u of publisher %u twice", client,
                       entry->sequence, entry->publisher);
            return false;
        }
        if (entry->sequence < *next)
            ledger->reordered++;
        else
            *next = entry->sequence + 1;
        append(ledger, entry, stamp);
    }
    note_fault(ledger, "client %u received message %u of publisher %u before what precedes it",
               client, entry->sequence, entry->publisher);
    for (uint64_t i = position; i < index; i++)
        add_gap(ledger, client, entry_at(ledger, i));
    take(ledger, client, index);
    return true;
}

bool ledger_receive(struct ledger *ledger, uint32_t client, const void *data, size_t size,
                    uint64_t *due_ns)
{
    uint64_t position = ledger->positions[client];
    struct ledger_entry parsed;
    bool is_delivery = true;

    if (size < LEDGER_STAMP_BYTES) {
        ledger->foreign++;
        return false;
    }
    if (position < ledger->count) {
        const struct ledger_entry *entry = entry_at(ledger, position);

        if (memcmp(entry->stamp, data, LEDGER_STAMP_BYTES) == 0) {
            *due_ns = entry->due_ns;
            take(ledger, client, position);
            return true;
        }
    }
    if (!parse(ledger, data, &parsed)) {
        ledger->foreign++;
        return false;
    }
    if (position == ledger->count && parsed.sequence == ledger->next_sequence[parsed.publisher]) {
        ledger->next_sequence[parsed.publisher]++;
        append(ledger, &parsed, data);
        take(ledger, client, position);
    } else {
        is_delivery = receive_unexpected(ledger, client, &parsed, data);
    }
    *due_ns = parsed.due_ns;
    return is_delivery;
}

void ledger_note_damage(struct ledger *ledger, uint32_t client)
{
    ledger->damaged++;
    note_fault(ledger, "client %u received a message with changed content", client);
}

uint64_t ledger_completed(struct ledger *ledger)
{
    if (!ledger_has_fault(ledger)) {
        while (ledger->first < ledger->count && entry_at(ledger, ledger->first)->remaining == 0)
            ledger->first++;
        return ledger->first;
    }

    uint64_t completed = ledger->first;

    for (uint64_t i = ledger->first; i < ledger->count; i++)
        completed += entry_at(ledger, i)->remaining == 0;
    return completed;
}

uint64_t ledger_lost(const struct ledger *ledger, uint64_t sent)
{
    return sent * ledger->clients - ledger->received;
}

bool ledger_has_fault(const struct ledger *ledger)
{
    return ledger->fault[0] != '\0';
}
