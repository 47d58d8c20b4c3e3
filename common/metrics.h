/*
 * Metrics in Prometheus' text format (version 0.0.4). Counting costs no lock: every counter and
 * histogram has one writing thread, and whoever prints reads the values as they are.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* A number that only its own thread changes; others may read it at any time. */
struct metric {
    _Atomic uint64_t value;
};

static inline void metric_add(struct metric *metric, uint64_t amount)
{
    /* One writer, so no read-modify-write instruction is needed. */
    atomic_store_explicit(&metric->value,
                          atomic_load_explicit(&metric->value, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

static inline void metric_set(struct metric *metric, uint64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

static inline uint64_t metric_read(const struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

#define HISTOGRAM_BUCKETS 16

/*
 * Durations in buckets that double: bucket i counts what took at most 100 us << i (100 us to 3.3
 * s), the last one whatever took longer. `sum` is in nanoseconds.
 */
struct histogram {
    struct metric buckets[HISTOGRAM_BUCKETS + 1];
    struct metric sum;
};

void histogram_record(struct histogram *histogram, uint64_t nanoseconds);

/* Adds the counts of `from` to `to`, which nobody else uses. */
void histogram_merge(struct histogram *to, const struct histogram *from);

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Appends the HELP and TYPE lines of a metric; `name` with prefix and unit. */
void metrics_describe(struct buffer *text, const char *name, enum metric_kind kind,
                      const char *help);

/* Appends a text as the value of a label, with `?` for bytes that are not UTF-8. */
void metrics_escape(struct buffer *text, const char *value);

/* Appends one sample; `labels` is empty or `key="value",…` with values escaped already. */
void metrics_sample(struct buffer *text, const char *name, const char *labels, double value);

/* Appends a metric that is one sample without labels: its description and its value. */
void metrics_single(struct buffer *text, const char *name, enum metric_kind kind, const char *help,
                    double value);

/* Appends the samples of a histogram in seconds (`_bucket`, `_sum`, `_count`). */
void metrics_histogram(struct buffer *text, const char *name, const struct histogram *histogram);

#endif
