/*
 * The first callback of an iteration cannot be hooked, so an iteration is measured from one prepare
 * phase to the next, less what libuv says the poll between them slept: as the growth of the time
 * that the loop has been at work.
 */
#include "common/lag_meter.h"

#include <stdio.h>

#include "common/memory.h"

/* How long the loop has been at work in all. Any thread. */
static uint64_t busy_ns_at(uv_loop_t *loop, uint64_t now_ns)
{
    uint64_t idle_ns = uv_metrics_idle_time(loop);

    return now_ns > idle_ns ? now_ns - idle_ns : 0;
}

/* The next window begins when the first one has passed; where the loop slept longer than that,
 * nothing happened in the last one. */
static void turn_window(struct lag_meter *meter, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - metric_read(&meter->window_ns);

    if (passed_ns < LAG_WINDOW_NS)
        return;
    metric_set(&meter->last_peak_ns,
               passed_ns < 2 * LAG_WINDOW_NS ? metric_read(&meter->peak_ns) : 0);
    metric_set(&meter->peak_ns, 0);
    metric_set(&meter->window_ns, now_ns);
}

static void on_before_poll(uv_prepare_t *handle)
{
    struct lag_meter *meter = container_of(handle, struct lag_meter, before_poll);
    uint64_t now_ns = uv_hrtime();
    uint64_t busy_ns = busy_ns_at(handle->loop, now_ns);
    uint64_t before_ns = metric_read(&meter->busy_ns);
    uint64_t lag_ns = busy_ns > before_ns ? busy_ns - before_ns : 0;

    turn_window(meter, now_ns);
    if (before_ns > 0) {
        histogram_record(&meter->lag, lag_ns);
        if (lag_ns > metric_read(&meter->peak_ns))
            metric_set(&meter->peak_ns, lag_ns);
    }
    metric_set(&meter->busy_ns, busy_ns);
}

int lag_meter_start(struct lag_meter *meter, uv_loop_t *loop)
{
    int error = uv_loop_configure(loop, UV_METRICS_IDLE_TIME);

    if (!error)
        error = uv_prepare_init(loop, &meter->before_poll);
    if (!error)
        error = uv_prepare_start(&meter->before_poll, on_before_poll);
    if (!error)
        uv_unref((uv_handle_t *)&meter->before_poll);
    return error;
}

static uint64_t greater(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

uint64_t lag_meter_peak_ns(struct lag_meter *meter)
{
    uint64_t before_ns = metric_read(&meter->busy_ns);
    uint64_t now_ns = uv_hrtime();
    uint64_t busy_ns = busy_ns_at(meter->before_poll.loop, now_ns);
    uint64_t running_ns = before_ns > 0 && busy_ns > before_ns ? busy_ns - before_ns : 0;

    if (now_ns - metric_read(&meter->window_ns) >= 2 * LAG_WINDOW_NS)
        return running_ns; /* the loop has slept since, or is in one iteration since */
    return greater(running_ns,
                   greater(metric_read(&meter->peak_ns), metric_read(&meter->last_peak_ns)));
}

void lag_meter_describe_peak(struct buffer *text)
{
    metrics_describe(text, "carillon_loop_lag_peak_seconds", METRIC_GAUGE,
                     "The longest iteration of each thread in the last 15 to 30 seconds, one that "
                     "has not ended included.");
}

void lag_meter_append_peak(struct buffer *text, struct lag_meter *meter, const char *thread)
{
    char label[32];

    snprintf(label, sizeof(label), "thread=\"%s\"", thread);
    metrics_sample(text, "carillon_loop_lag_peak_seconds", label,
                   (double)lag_meter_peak_ns(meter) / 1e9);
}

void lag_meter_stop(struct lag_meter *meter)
{
    uv_close((uv_handle_t *)&meter->before_poll, NULL);
}
