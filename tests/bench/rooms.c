#include "tests/bench/rooms.h"

#include "common/memory.h"
#include "common/random.h"
#include "tests/bench/clock.h"

void rooms_init(struct rooms *rooms, const struct arguments *arguments, struct client *clients)
{
    /* The same in all rooms: a message that comes to the wrong one is a fault there. */
    uint32_t run = (uint32_t)random_id();

    rooms->count = arguments->channels;
    rooms->items = memory_zeroed(rooms->count, sizeof(*rooms->items));
    for (uint32_t i = 0; i < rooms->count; i++) {
        struct room *room = &rooms->items[i];

        ledger_init(&room->ledger, run, arguments->clients, arguments->publishers);
        publishers_init(&room->publishers, arguments, clients + i, &room->ledger);
    }
}

void rooms_deinit(struct rooms *rooms)
{
    for (uint32_t i = 0; i < rooms->count; i++) {
        ledger_deinit(&rooms->items[i].ledger);
        publishers_deinit(&rooms->items[i].publishers);
    }
    memory_free(rooms->items);
}

void rooms_start(struct rooms *rooms, uint64_t now_ns)
{
    for (uint32_t i = 0; i < rooms->count; i++) {
        struct publishers *publishers = &rooms->items[i].publishers;
        double rate = publishers->arguments->rate;
        double share = rate > 0 ? (double)i / rooms->count / rate : 0;

        publishers_start(publishers, now_ns + (uint64_t)(share * (double)CLOCK_SECOND_NS));
    }
}

void rooms_publish(struct rooms *rooms, uint64_t now_ns, uint64_t end_ns)
{
    for (uint32_t i = 0; i < rooms->count; i++)
        publishers_publish(&rooms->items[i].publishers, now_ns, end_ns);
}

uint64_t rooms_next_due_ns(const struct rooms *rooms)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t i = 0; i < rooms->count; i++) {
        uint64_t due = publishers_next_due_ns(&rooms->items[i].publishers);

        if (due < next)
            next = due;
    }
    return next;
}

void rooms_limit(struct rooms *rooms, uint64_t messages)
{
    for (uint32_t i = 0; i < rooms->count; i++) {
        struct publishers *publishers = &rooms->items[i].publishers;

        publishers->sent_limit = publishers->sent + messages;
    }
}

bool rooms_are_finished(struct rooms *rooms)
{
    for (uint32_t i = 0; i < rooms->count; i++) {
        if (rooms->items[i].publishers.sent < rooms->items[i].publishers.sent_limit)
            return false;
    }
    return rooms_are_settled(rooms);
}

bool rooms_are_settled(struct rooms *rooms)
{
    for (uint32_t i = 0; i < rooms->count; i++) {
        struct room *room = &rooms->items[i];

        if (ledger_completed(&room->ledger) < room->publishers.sent)
            return false;
    }
    return true;
}

bool rooms_receive(struct rooms *rooms, const struct client *client, const void *data, size_t size,
                   uint64_t *due_ns)
{
    struct room *room = &rooms->items[client->index % rooms->count];
    uint32_t index = client->index / rooms->count;

    if (!ledger_receive(&room->ledger, index, data, size, due_ns))
        return false;
    if (!publishers_is_intact(&room->publishers, data, size))
        ledger_note_damage(&room->ledger, index);
    return true;
}

const char *rooms_fault(const struct rooms *rooms, uint32_t *channel)
{
    for (uint32_t i = 0; i < rooms->count; i++) {
        *channel = i + 1;
        if (ledger_has_fault(&rooms->items[i].ledger))
            return rooms->items[i].ledger.fault;
    }
    return NULL;
}

void rooms_add_up(const struct rooms *rooms, struct rooms_total *total)
{
    *total = (struct rooms_total){0};
    for (uint32_t i = 0; i < rooms->count; i++) {
        const struct ledger *ledger = &rooms->items[i].ledger;

        total->sent += rooms->items[i].publishers.sent;
        total->received += ledger->received;
        total->lost += ledger_lost(ledger, rooms->items[i].publishers.sent);
        total->doubled += ledger->doubled;
        total->reordered += ledger->reordered;
        total->damaged += ledger->damaged;
        total->foreign += ledger->foreign;
    }
}
