/*
 * A Treiber stack: producers push with one compare-and-swap, the consumer takes the whole stack
 * with one exchange and reverses it. There is no pop of single items, so the ABA problem cannot
 * arise.
 */
#include "common/inbox.h"

#include <stdbool.h>

#include "common/memory.h"

#define HELD_LIMIT 80 /* inboxes; for more, a thread does not wait to wake them */

/* Whom a thread is to wake. It found their queues empty, so that nobody else wakes them. */
struct held_wakeups {
    bool is_holding;
    unsigned count;
    struct inbox *inboxes[HELD_LIMIT];
};

static _Thread_local struct held_wakeups held;

void inbox_hold_wakeups(void)
{
    held.is_holding = true;
}

void inbox_send_wakeups(void)
{
    for (unsigned i = 0; i < held.count; i++)
        uv_async_send(&held.inboxes[i]->wakeup);
    held.count = 0;
    held.is_holding = false;
}

static void wake(struct inbox *inbox)
{
    if (held.is_holding && held.count < HELD_LIMIT)
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

void inbox_close(struct inbox *inbox)
{
    uv_close((uv_handle_t *)&inbox->wakeup, NULL);
}
