/*
 * The log: one event a line on stderr, as logfmt (`time=… level=info event="listening" address=…`)
 * or JSON. A line is written with one system call, so that lines of several threads and processes
 * do not mix, and the newest are kept for the console (log_tail.h). No message bodies and no
 * secrets go in here. Any thread.
 *
 *     log_event(LOG_WARNING, log_name("bus lost"), log_text("at", text), log_number("try", n));
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key;  /* NULL ends a list of fields */
    const char *text; /* NULL where the field is a number */
    int64_t number;
};

/* Sets format and the least urgent level that is written, from the next line on. */
void log_configure(enum log_format format, enum log_level level);

/* Whether a line of that level is written: for those to whom its values would cost something. */
bool log_is_written(enum log_level level);

/* Writes one line; use log_event. Text values are cut at 512 bytes and escaped: a
 * control character, or a byte that is no UTF-8, stands as \u00XX. From the field on that makes the
 * line longer than 4 KiB, the fields are left out. */
void log_write(enum log_level level, const struct log_field *fields);

static inline struct log_field log_name(const char *event)
{
    return (struct log_field){.key = "event", .text = event};
}

static inline struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){.key = key, .text = text ? text : ""};
}

static inline struct log_field log_number(const char *key, int64_t number)
{
    return (struct log_field){.key = key, .number = number};
}

#define log_event(level, ...)                                                                      \
    log_write((level), (const struct log_field[]){__VA_ARGS__, {.key = NULL}})

#endif
