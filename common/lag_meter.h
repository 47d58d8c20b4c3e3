/*
 * A lag meter records, for each iteration of a loop, how long its callbacks ran: the longest that
 * anything which arrived meanwhile had to wait. Lives in its owner, on the loop's thread; the
 * histogram and the peak may be read from any.
 */
#ifndef COMMON_LAG_METER_H
#define COMMON_LAG_METER_H

#include <uv.h>

#include "common/metrics.h"

#define LAG_WINDOW_NS (15 * UINT64_C(1000000000)) /* the interval in which metrics are fetched */

struct lag_meter {
    uv_prepare_t before_poll;
    struct metric busy_ns; /* how long the loop had been at work in all, after its last iteration */
    struct metric window_ns;    /* when the window began */
    struct metric peak_ns;      /* the longest iteration of the window, */
    struct metric last_peak_ns; /* and of the one before */
    struct histogram lag;
};

/* Starts measuring a loop that does not run yet. The meter does not keep the loop alive. Returns 0
 * or a libuv error. */
int lag_meter_start(struct lag_meter *meter, uv_loop_t *loop);

/* The longest iteration of the last one or two windows, in nanoseconds; the one that the loop is
 * in counts, too, so that a loop which is stuck shows. Any thread, while the loop exists. */
uint64_t lag_meter_peak_ns(struct lag_meter *meter);

/* Appends the peak in Prometheus' text format: the description, once, and the sample of each
 * thread.
 */
void lag_meter_describe_peak(struct buffer *text);
void lag_meter_append_peak(struct buffer *text, struct lag_meter *meter, const char *thread);

/* Stops; the memory must stay until the loop has run once more. */
void lag_meter_stop(struct lag_meter *meter);

#endif
