/*
 * The one way into a loop from other threads: a queue of items with many producers, drained by the
 * loop in batches. The item is embedded in the caller's object, so that posting never allocates;
 * the object belongs to the receiving loop from the moment it is posted.
 *
 * Items of one producer arrive in the order in which it posted them. A burst costs one wake-up:
 * only the post that finds the queue empty calls uv_async_send.
 */
#ifndef COMMON_INBOX_H
#define COMMON_INBOX_H

#include <stdatomic.h>
#include <uv.h>

struct inbox_item {
    struct inbox_item *next;
};

struct inbox {
    uv_async_t wakeup;
    _Atomic(struct inbox_item *) newest; /* a stack; the drain turns it round */
    void (*receive)(struct inbox *inbox, struct inbox_item *item);
};

/*
 * Prepares an inbox on `loop`; `receive` is called on that loop for each item, oldest first, and
 * owns the item. Returns 0 or a libuv error.
 */
int inbox_init(struct inbox *inbox, uv_loop_t *loop,
               void (*receive)(struct inbox *inbox, struct inbox_item *item));

/* Hands `item` to the inbox's loop. Any thread. */
void inbox_post(struct inbox *inbox, struct inbox_item *item);

/* Receives what is in the queue now. Only on the inbox's loop, and not from `receive`, which would
 * see newer items before older ones. */
void inbox_drain(struct inbox *inbox);

/*
 * From the beginning of a thread's poll to its end, what it posts wakes nobody, so that a burst
 * that it reads stays one batch. At the end the inboxes of `loop` itself receive what they were
 * posted, and others what came of that, for a few rounds and without a wake-up; then other loops
 * are woken, each once. For loops (wakeups.h).
 */
void inbox_begin_poll(const uv_loop_t *loop);
void inbox_end_poll(void);

/* Wakes those of other loops that wait for the end of the poll. Before a thread waits for another
 * one in the middle of it. */
void inbox_send_wakeups(void);

/* Closes the wake-up handle. Nobody may post any more; what is left must have been drained. The
 * inbox's memory must stay until the loop has run once more. */
void inbox_close(struct inbox *inbox);

#endif
