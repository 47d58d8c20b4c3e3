/*
 * Counts of latencies in buckets that grow with the value, after the idea of HdrHistogram: each
 * power of two is cut into 128 buckets of equal width, so that any percentile is off by less than
 * 1 % of itself, from a nanosecond to centuries, in 58 KiB and without allocation.
 *
 * A histogram of zero bytes is empty. Not thread-safe.
 */
#ifndef BENCH_LATENCY_HISTOGRAM_H
#define BENCH_LATENCY_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define LATENCY_SUB_BITS     7
#define LATENCY_BUCKET_COUNT ((64 - LATENCY_SUB_BITS + 1) << LATENCY_SUB_BITS)

struct latency_histogram {
    uint64_t count;
    uint64_t minimum;
    uint64_t maximum;
    double sum;
    uint64_t buckets[LATENCY_BUCKET_COUNT];
};

void latency_histogram_record(struct latency_histogram *histogram, uint64_t nanoseconds);

/* Forgets everything. */
void latency_histogram_reset(struct latency_histogram *histogram);

/* The smallest value that at least `percent` (0 to 100) of the recorded ones do not exceed, rounded
 * up within its bucket; 0 if there are none. */
uint64_t latency_histogram_percentile(const struct latency_histogram *histogram, double percent);

/* 0 if there are none. */
double latency_histogram_mean(const struct latency_histogram *histogram);

#endif
