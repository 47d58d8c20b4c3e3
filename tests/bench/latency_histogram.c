#include "tests/bench/latency_histogram.h"

#include <string.h>

#define SUB_COUNT (1u << LATENCY_SUB_BITS)

/* Values below SUB_COUNT have a bucket each; above, the highest bit picks the group and the seven
 * bits behind it the bucket. */
static size_t bucket_of(uint64_t value)
{
    if (value < SUB_COUNT)
        return (size_t)value;

    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - LATENCY_SUB_BITS;

    return ((size_t)(shift + 1) << LATENCY_SUB_BITS) + (size_t)(value >> shift) - SUB_COUNT;
}

static uint64_t highest_value_of(size_t bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;

    unsigned shift = (unsigned)(bucket >> LATENCY_SUB_BITS) - 1;
    uint64_t lowest = (uint64_t)((bucket & (SUB_COUNT - 1)) + SUB_COUNT) << shift;

    return lowest + ((1ull << shift) - 1);
}

void latency_histogram_record(struct latency_histogram *histogram, uint64_t nanoseconds)
{
    histogram->buckets[bucket_of(nanoseconds)]++;
    if (histogram->count == 0 || nanoseconds < histogram->minimum)
        histogram->minimum = nanoseconds;
    if (nanoseconds > histogram->maximum)
        histogram->maximum = nanoseconds;
    histogram->sum += (double)nanoseconds;
    histogram->count++;
}

void latency_histogram_reset(struct latency_histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
}

static uint64_t rank_of(const struct latency_histogram *histogram, double percent)
{
    double exact = (double)histogram->count * percent / 100;
    uint64_t rank = (uint64_t)exact;

    if ((double)rank < exact)
        rank++;
    if (rank < 1)
        return 1;
    return rank < histogram->count ? rank : histogram->count;
}

uint64_t latency_histogram_percentile(const struct latency_histogram *histogram, double percent)
{
    if (histogram->count == 0)
        return 0;

    uint64_t rank = rank_of(histogram, percent);
    size_t bucket = 0;

    for (uint64_t seen = histogram->buckets[0]; seen < rank; seen += histogram->buckets[bucket])
        bucket++;

    uint64_t value = highest_value_of(bucket);

    return value < histogram->maximum ? value : histogram->maximum;
}

double latency_histogram_mean(const struct latency_histogram *histogram)
{
    return histogram->count > 0 ? histogram->sum / (double)histogram->count : 0;
}
