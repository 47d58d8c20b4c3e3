/*
 * Tells the inboxes when a loop polls (inbox_begin_poll): what it posts to other loops while it
 * reads, they are woken for when it has read all. A burst of messages then stays one batch, and so
 * one tick and one send for each subscriber; a thread that is woken by the first of them would
 * serve it alone, wherever it runs on the same processor. And what it posts to itself, it receives
 * when it has read all, and sleeps only then.
 *
 * Part of its loop, and of the thread that runs it.
 */
#ifndef COMMON_WAKEUPS_H
#define COMMON_WAKEUPS_H

#include <uv.h>

struct wakeups {
    uv_prepare_t before_poll;
    uv_check_t after_poll;
};

/* Keeps no loop alive. A loop with long work to do after its poll calls inbox_end_poll before. 0
 * or a libuv error. */
int wakeups_start(struct wakeups *wakeups, uv_loop_t *loop);

/* Ends the poll that the loop is in, and closes the handles. */
void wakeups_stop(struct wakeups *wakeups);

#endif
