/*
 * A Treiber stack: producers push with one compare-and-swap, the consumer takes the whole stack
 * with one exchange and reverses it. There is no pop of single items, so the ABA problem cannot
 * arise.
 */
#include "common/inbox.h"

#include <stdbool.h>
#include <string.h>

#include "common/memory.h"

#define HELD_LIMIT 80 /* inboxes; for more, a thread does not wait to wake them */
#define OWN_LIMIT  4  /* of the loop itself, which are received from at the end of a poll, */
#define OWN_ROUNDS 2  /* so often: to the hub and back; then its sockets have their turn */

/* Whom a thread is to wake. It found their queues empty, so that nobody else wakes them. */
struct held_wakeups {
    const uv_loop_t *polling; /* NULL: nothing is held */
    unsigned count;
    unsigned own_count;
    struct inbox *inboxes[HELD_LIMIT];
    struct inbox *own[OWN_LIMIT];
};

static _Thread_local struct held_wakeups held;

void inbox_begin_poll(const uv_loop_t *loop)
{
    held.polling = loop;
}

void inbox_send_wakeups(void)
{
    for (unsigned i = 0; i < held.count; i++)
        uv_async_send(&held.inboxes[i]->wakeup);
    held.count = 0;
}

static void receive_own(void)
{
    struct inbox *inboxes[OWN_LIMIT];
    unsigned count = held.own_count;

    memcpy(inboxes, held.own, sizeof(inboxes));
    held.own_count = 0;
    for (unsigned i = 0; i < count; i++)
        inbox_drain(inboxes[i]);
}

void inbox_end_poll(void)
{
    for (unsigned round = 0; round < OWN_ROUNDS && held.own_count > 0; round++)
        receive_own();
    for (unsigned i = 0; i < held.own_count; i++)
        uv_async_send(&held.own[i]->wakeup);
    held.own_count = 0;
    inbox_send_wakeups();
    held.polling = NULL;
}

static void wake(struct inbox *inbox)
{
    bool is_own = inbox->wakeup.loop == held.polling;

    if (is_own && held.own_count < OWN_LIMIT)
        held.own[held.own_count++] = inbox;
    else if (held.polling && !is_own && held.count < HELD_LIMIT)
        held.inboxes[held.count++] = inbox;
    else
        uv_async_send(&inbox->wakeup);
}

static void on_wakeup(uv_async_t *handle)
{
    inbox_drain(container_of(handle, struct inbox, wakeup));
}

int inbox_init(struct inbox *inbox, uv_loop_t *loop,
               void (*receive)(struct inbox *inbox, struct inbox_item *item))
{
    atomic_init(&inbox->newest, NULL);
    inbox->receive = receive;
    return uv_async_init(loop, &inbox->wakeup, on_wakeup);
}

void inbox_post(struct inbox *inbox, struct inbox_item *item)
{
    struct inbox_item *newest = atomic_load_explicit(&inbox->newest, memory_order_relaxed);

    do {
        item->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->newest, &newest, item,
                                                    memory_order_release, memory_order_relaxed));
    if (!newest)
        wake(inbox);
}

void inbox_drain(struct inbox *inbox)
{
    struct inbox_item *item = atomic_exchange_explicit(&inbox->newest, NULL, memory_order_acquire);
    struct inbox_item *oldest = NULL;

    while (item) {
        struct inbox_item *next = item->next;

        item->next = oldest;
        oldest = item;
        item = next;
    }
    while (oldest) {
        struct inbox_item *next = oldest->next;

        inbox->receive(inbox, oldest);
        oldest = next;
    }
}

/* Nobody else is left who could have found it empty. */
static void forget(const struct inbox *inbox)
{
    for (unsigned i = held.own_count; i > 0; i--) {
        if (held.own[i - 1] == inbox)
            held.own[i - 1] = held.own[--held.own_count];
    }
}

void inbox_close(struct inbox *inbox)
{
    forget(inbox);
    uv_close((uv_handle_t *)&inbox->wakeup, NULL);
}
