#include "common/metrics.h"

#include <stdbool.h>
#include <string.h>

#include "common/utf8.h"

#define FIRST_BUCKET_NS 100000u

void histogram_record(struct histogram *histogram, uint64_t nanoseconds)
{
    unsigned bucket = 0;

    while (bucket < HISTOGRAM_BUCKETS && nanoseconds > (uint64_t)FIRST_BUCKET_NS << bucket)
        bucket++;
    metric_add(&histogram->buckets[bucket], 1);
    metric_add(&histogram->sum, nanoseconds);
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++)
        metric_add(&to->buckets[i], metric_read(&from->buckets[i]));
    metric_add(&to->sum, metric_read(&from->sum));
}

void metrics_describe(struct buffer *text, const char *name, enum metric_kind kind,
                      const char *help)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};

    buffer_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kinds[kind]);
}

void metrics_escape(struct buffer *text, const char *value)
{
    bool is_utf8 = utf8_is_valid((const unsigned char *)value, strlen(value));

    for (; *value != '\0'; value++) {
        char byte = *value;

        if (byte == '\n')
            buffer_append(text, "\\n", 2);
        else if (byte == '\\' || byte == '"')
            buffer_append(text, (const char[]){'\\', byte}, 2);
        else
            buffer_append(text, (unsigned char)byte < 0x80 || is_utf8 ? &byte : "?", 1);
    }
}

void metrics_sample(struct buffer *text, const char *name, const char *labels, double value)
{
    buffer_append_text(text, name);
    if (labels[0] != '\0')
        buffer_printf(text, "{%s}", labels);
    buffer_printf(text, " %.17g\n", value);
}

void metrics_single(struct buffer *text, const char *name, enum metric_kind kind, const char *help,
                    double value)
{
    metrics_describe(text, name, kind, help);
    metrics_sample(text, name, "", value);
}

void metrics_histogram(struct buffer *text, const char *name, const struct histogram *histogram)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += metric_read(&histogram->buckets[i]);
        buffer_printf(text, "%s_bucket{le=\"%g\"} %llu\n", name,
                      (double)((uint64_t)FIRST_BUCKET_NS << i) / 1e9, (unsigned long long)count);
    }
    count += metric_read(&histogram->buckets[HISTOGRAM_BUCKETS]);
    buffer_printf(text, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)count);
    buffer_printf(text, "%s_sum %.9f\n", name, (double)metric_read(&histogram->sum) / 1e9);
    buffer_printf(text, "%s_count %llu\n", name, (unsigned long long)count);
}
