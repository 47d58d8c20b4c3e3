/*
 * The values on the command line, each read into its own form. A value that is not what it should
 * be is named on stderr in one line, with what was expected, and -EINVAL returned.
 */
#ifndef BENCH_ARGUMENT_VALUE_H
#define BENCH_ARGUMENT_VALUE_H

#include <stddef.h>
#include <stdint.h>

/* Says that `subject`, an option or a word, is not as `expectation` says. Returns -EINVAL. */
int argument_complain(const char *subject, const char *expectation);

int argument_read_number(const char *name, const char *text, uint64_t minimum, uint64_t maximum,
                         uint64_t *value);

/* From 1 to `maximum`. */
int argument_read_count(const char *name, const char *text, uint32_t maximum, uint32_t *value);

/* So many a second. */
int argument_read_rate(const char *name, const char *text, double *value);

/* Bytes of a message: there must be room for a stamp. */
int argument_read_size(const char *name, const char *text, size_t *value);

int argument_read_time(const char *name, const char *text, uint64_t minimum_ms,
                       uint64_t *nanoseconds);

#endif
