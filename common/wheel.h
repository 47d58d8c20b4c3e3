/*
 * The deadlines of a loop (handshakes, pings, closes, connects), coarse and cheap: a wheel of
 * slots, one libuv timer for all of them, O(1) to set, move and cancel. A deadline fires at or up
 * to WHEEL_TICK_MS + one loop iteration after its time, never before, and never inside wheel_set.
 * Its function may set and clear any deadline, itself included.
 *
 * Deadlines live in the objects that wait. One wheel belongs to one loop; the timer runs only while
 * a deadline is set.
 */
#ifndef COMMON_WHEEL_H
#define COMMON_WHEEL_H

#include <stdint.h>
#include <uv.h>

#include "common/list.h"

#define WHEEL_TICK_MS 50
#define WHEEL_SLOTS   512 /* one turn is 25.6 s; later deadlines stay in their slot for more */

struct deadline {
    struct list link; /* in its slot, or in no list while not set */
    uint64_t due;     /* in ticks of the wheel */
};

struct wheel {
    uv_timer_t timer;
    uint64_t now; /* last tick that was handled */
    size_t count; /* deadlines set */
    void (*expired)(struct deadline *deadline);
    struct list slots[WHEEL_SLOTS];
};

/* Prepares a wheel; `expired` is called for each deadline that is reached, which is then not set.
 */
int wheel_init(struct wheel *wheel, uv_loop_t *loop, void (*expired)(struct deadline *deadline));

/* Stops the timer for good; the wheel's memory must stay until the loop has run once more. */
void wheel_close(struct wheel *wheel);

void deadline_init(struct deadline *deadline);

/* Sets or moves a deadline to `delay_ms` from now. */
void wheel_set(struct wheel *wheel, struct deadline *deadline, uint64_t delay_ms);

/* Cancels a deadline; harmless if it is not set. */
void wheel_clear(struct wheel *wheel, struct deadline *deadline);

#endif
