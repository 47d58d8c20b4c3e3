#include "tests/bench/argument_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/option.h"
#include "tests/bench/ledger.h"

#define SIZE_LIMIT    ((uint64_t)64 * 1024 * 1024)
#define TIME_LIMIT_MS ((uint64_t)24 * 3600 * 1000)

int argument_complain(const char *subject, const char *expectation)
{
    fprintf(stderr, "carillon-bench: %s: %s\n", subject, expectation);
    return -EINVAL;
}

/* strtoull alone takes signs and blanks, and a negative number for a very large one. */
int argument_read_number(const char *name, const char *text, uint64_t minimum, uint64_t maximum,
                         uint64_t *value)
{
    char expectation[96];
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && errno == 0 && *end == '\0' && *value >= minimum &&
        *value <= maximum)
        return 0;
    snprintf(expectation, sizeof(expectation), "expected a number from %llu to %llu",
             (unsigned long long)minimum, (unsigned long long)maximum);
    return argument_complain(name, expectation);
}

int argument_read_count(const char *name, const char *text, uint32_t maximum, uint32_t *value)
{
    uint64_t number = 0;
    int error = argument_read_number(name, text, 1, maximum, &number);

    *value = (uint32_t)number;
    return error;
}

/* The slowest rate still has its next message within the clock's range. */
int argument_read_rate(const char *name, const char *text, double *value)
{
    char *end;

    *value = strtod(text, &end);
    if (text[strspn(text, "0123456789.")] != '\0' || end == text || *end != '\0' ||
        !(*value >= 0.001 && *value <= 1e7))
        return argument_complain(name, "expected a number from 0.001 to 10000000 a second");
    return 0;
}

int argument_read_size(const char *name, const char *text, size_t *value)
{
    uint64_t bytes = 0;

    if (option_parse_size(text, &bytes) || bytes < LEDGER_STAMP_BYTES || bytes > SIZE_LIMIT)
        return argument_complain(name, "expected a size from 40 to 64M, such as 64 or 4K");
    *value = (size_t)bytes;
    return 0;
}

int argument_read_time(const char *name, const char *text, uint64_t minimum_ms,
                       uint64_t *nanoseconds)
{
    uint64_t milliseconds = 0;
    char expectation[96];

    snprintf(expectation, sizeof(expectation),
             "expected a time from %llums to 24h, such as 500ms, 10s or 2m",
             (unsigned long long)minimum_ms);
    if (option_parse_time(text, &milliseconds) || milliseconds < minimum_ms ||
        milliseconds > TIME_LIMIT_MS)
        return argument_complain(name, expectation);
    *nanoseconds = milliseconds * 1000000;
    return 0;
}
