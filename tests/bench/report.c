#include "tests/bench/report.h"

#include <string.h>

#include "tests/bench/clock.h"

#define BUSY_SHARE 0.95 /* beyond this the generator itself may be what was measured */

static const double percentiles[] = {50, 90, 99, 99.9, 99.99};
#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

static double ratio(double value, double by)
{
    return by > 0 ? value / by : 0;
}

static double deliveries_per_second(const struct load_result *result)
{
    const struct measurement *measurement = &result->measurement;

    return ratio((double)measurement->deliveries * (double)CLOCK_SECOND_NS,
                 (double)measurement->length_ns);
}

static double handshakes_per_second(const struct load_result *result)
{
    return ratio((double)result->opened * (double)CLOCK_SECOND_NS, (double)result->connect_ns);
}

static bool is_server_measured(const struct load_result *result)
{
    return result->measurement.end.memory_source;
}

static void text_of_check(FILE *file, const struct arguments *arguments,
                          const struct load_result *result)
{
    bool is_good = result->trouble[0] == '\0';

    if (arguments->is_idle && is_good) {
        fputs("check        every connection stayed open and answered a ping\n", file);
        return;
    }
    fprintf(file,
            "check        %llu messages, %llu deliveries: ", (unsigned long long)result->total.sent,
            (unsigned long long)result->total.received);
    if (is_good)
        fputs("each once and in one order", file);
    else
        fprintf(file,
                "%llu missing, %llu doubled, %llu out of order, %llu changed, "
                "%u connections ended",
                (unsigned long long)result->total.lost, (unsigned long long)result->total.doubled,
                (unsigned long long)result->total.reordered,
                (unsigned long long)result->total.damaged, result->ended);
    if (result->total.foreign > 0)
        fprintf(file, "; %llu messages of others ignored",
                (unsigned long long)result->total.foreign);
    fputc('\n', file);
}

static void text_of_handshakes(FILE *file, const struct load_result *result)
{
    const struct measurement *measurement = &result->measurement;
    uint64_t cpu_ns;

    fprintf(file, "handshakes   %.0f a second", handshakes_per_second(result));
    if (is_server_measured(result) &&
        process_cpu_between(&measurement->alone, &measurement->connected, &cpu_ns))
        fprintf(file, ", %.1f us of the server's processor time each",
                ratio((double)cpu_ns, result->opened) / 1e3);
    fprintf(file, ", the generator took %.1f %% of a core\n",
            100 * ratio((double)measurement->own_connect_cpu_ns, (double)result->connect_ns));
}

static void text_of_server(FILE *file, const struct arguments *arguments,
                           const struct load_result *result)
{
    const struct measurement *measurement = &result->measurement;
    double in_all = (double)measurement->end.resident_bytes / (1024 * 1024);
    uint64_t cpu_ns, grown;

    if (!is_server_measured(result)) {
        if (result->has_server_ended)
            fputs("server       ended, not measured\n", file);
        return;
    }

    bool has_cpu = process_cpu_between(&measurement->begin, &measurement->end, &cpu_ns);

    if (!arguments->is_idle && !has_cpu)
        fputs("server       no processor time that can be compared\n", file);
    else if (has_cpu && measurement->deliveries > 0)
        fprintf(file,
                "server       %.0f ns of processor time per delivery, %.1f %% of a core (%s)\n",
                (double)cpu_ns / (double)measurement->deliveries,
                100 * ratio((double)cpu_ns, (double)measurement->length_ns),
                measurement->end.cpu_source);
    if (!process_memory_between(&measurement->alone, &measurement->end, &grown))
        fprintf(file, "memory       %.1f MiB in all (resident, %s), no growth to tell\n", in_all,
                measurement->end.memory_source);
    else
        fprintf(file, "memory       %.0f bytes per connection, %.1f MiB in all (resident, %s)\n",
                ratio((double)grown, result->opened), in_all, measurement->end.memory_source);
}

static void text_of_latency(FILE *file, const struct latency_histogram *latency)
{
    fprintf(file, "latency      min %.3f ms, mean %.3f ms", (double)latency->minimum / 1e6,
            latency_histogram_mean(latency) / 1e6);
    for (size_t i = 0; i < PERCENTILE_COUNT; i++)
        fprintf(file, ", p%g %.3f", percentiles[i],
                (double)latency_histogram_percentile(latency, percentiles[i]) / 1e6);
    fprintf(file, ", max %.3f ms\n", (double)latency->maximum / 1e6);
}

void report_text(FILE *file, const struct arguments *arguments, const struct load_result *result)
{
    const struct measurement *measurement = &result->measurement;
    double own_share = ratio((double)measurement->own_cpu_ns, (double)measurement->length_ns);

    fprintf(file, "connections  %u of %u in %.3f s\n", result->opened,
            arguments_connections(arguments), (double)result->connect_ns / (double)CLOCK_SECOND_NS);
    if (arguments->is_idle && result->opened == arguments_connections(arguments))
        text_of_handshakes(file, result);
    if (!arguments->is_idle && measurement->length_ns > 0) {
        fprintf(file, "deliveries   %.0f a second (%llu in %.3f s)\n",
                deliveries_per_second(result), (unsigned long long)measurement->deliveries,
                (double)measurement->length_ns / (double)CLOCK_SECOND_NS);
        text_of_latency(file, &measurement->latency);
    }
    text_of_server(file, arguments, result);
    if (!arguments->is_idle && measurement->length_ns > 0)
        fprintf(file, "generator    %.1f %% of a core%s\n", 100 * own_share,
                own_share > BUSY_SHARE ? ": it may be the bottleneck, not the server" : "");
    text_of_check(file, arguments, result);
    if (result->trouble[0] != '\0')
        fprintf(file, "FAILED: %s\n", result->trouble);
}

static void json_string(FILE *file, const char *name, const char *text)
{
    fprintf(file, "\"%s\":\"", name);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;

        if (byte == '"' || byte == '\\')
            fprintf(file, "\\%c", byte);
        else if (byte < 0x20 || byte >= 0x7f) /* a server's words may be in any encoding */
            fprintf(file, "\\u%04x", byte);
        else
            fputc(byte, file);
    }
    fputc('"', file);
}

static void json_number(FILE *file, const char *name, double value)
{
    fprintf(file, ",\"%s\":%.15g", name, value);
}

static void json_latency(FILE *file, const struct latency_histogram *latency)
{
    fprintf(file, ",\"latency_ns\":{\"count\":%llu,\"min\":%llu,\"mean\":%.0f,\"max\":%llu",
            (unsigned long long)latency->count, (unsigned long long)latency->minimum,
            latency_histogram_mean(latency), (unsigned long long)latency->maximum);
    for (size_t i = 0; i < PERCENTILE_COUNT; i++)
        fprintf(file, ",\"p%g\":%llu", percentiles[i],
                (unsigned long long)latency_histogram_percentile(latency, percentiles[i]));
    fputc('}', file);
}

static void json_server(FILE *file, const struct load_result *result)
{
    const struct measurement *measurement = &result->measurement;
    uint64_t cpu_ns, grown;

    fputs(",\"server\":{", file);
    json_string(file, "cpu_source", measurement->end.cpu_source);
    fputc(',', file);
    json_string(file, "memory_source", measurement->end.memory_source);
    if (process_cpu_between(&measurement->begin, &measurement->end, &cpu_ns)) {
        json_number(file, "cpu_share", ratio((double)cpu_ns, (double)measurement->length_ns));
        if (measurement->deliveries > 0)
            json_number(file, "cpu_ns_per_delivery",
                        (double)cpu_ns / (double)measurement->deliveries);
    }
    if (process_cpu_between(&measurement->alone, &measurement->connected, &cpu_ns))
        json_number(file, "cpu_ns_per_handshake", ratio((double)cpu_ns, result->opened));
    json_number(file, "resident_bytes_alone", (double)measurement->alone.resident_bytes);
    json_number(file, "resident_bytes", (double)measurement->end.resident_bytes);
    if (process_memory_between(&measurement->alone, &measurement->end, &grown))
        json_number(file, "bytes_per_connection", ratio((double)grown, result->opened));
    fputc('}', file);
}

void report_json(FILE *file, const struct arguments *arguments, const struct load_result *result)
{
    const struct measurement *measurement = &result->measurement;

    fputc('{', file);
    json_string(file, "url", arguments->urls[0].text);
    fputc(',', file);
    json_string(file, "protocol", arguments->protocol->name);
    json_number(file, "urls", arguments->url_count);
    json_number(file, "channels", arguments->channels);
    json_number(file, "clients", arguments->clients);
    json_number(file, "publishers", arguments->publishers);
    json_number(file, arguments->rate > 0 ? "rate" : "window",
                arguments->rate > 0 ? arguments->rate : arguments->window);
    json_number(file, "size", (double)arguments->size);
    json_number(file, "opened", result->opened);
    json_number(file, "connect_seconds", (double)result->connect_ns / (double)CLOCK_SECOND_NS);
    json_number(file, "handshakes_per_second", handshakes_per_second(result));
    json_number(file, "generator_connect_cpu_share",
                ratio((double)measurement->own_connect_cpu_ns, (double)result->connect_ns));
    json_number(file, "seconds", (double)measurement->length_ns / (double)CLOCK_SECOND_NS);
    json_number(file, "deliveries", (double)measurement->deliveries);
    json_number(file, "deliveries_per_second", deliveries_per_second(result));
    json_number(file, "generator_cpu_share",
                ratio((double)measurement->own_cpu_ns, (double)measurement->length_ns));
    json_latency(file, &measurement->latency);
    if (is_server_measured(result))
        json_server(file, result);
    fprintf(file, ",\"check\":{\"passed\":%s,", result->trouble[0] == '\0' ? "true" : "false");
    json_string(file, "trouble", result->trouble);
    json_number(file, "sent", (double)result->total.sent);
    json_number(file, "received", (double)result->total.received);
    json_number(file, "lost", (double)result->total.lost);
    json_number(file, "doubled", (double)result->total.doubled);
    json_number(file, "reordered", (double)result->total.reordered);
    json_number(file, "damaged", (double)result->total.damaged);
    json_number(file, "foreign", (double)result->total.foreign);
    json_number(file, "ended", result->ended);
    fputs("}}\n", file);
}
