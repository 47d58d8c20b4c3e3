/*
 * The log: one event a line on stderr, as logfmt (`time=… level=info event="listening" address=…`)
 * or JSON. A line is written with one system call, so that lines of several threads and processes do
 * not mix. No message bodies and no secrets go in here. Any thread.
 *
 *     log_event(LOG_WARNING, log_name("bus lost"), log_text("address", text), log_number("attempt", n));
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key; /* NULL ends a list of fields */
    const char *text; /* NULL where the field is a number */
    int64_t number;
};

/* Sets format and the least urgent level that is written; before any other thread runs. */
void log_configure(enum log_format format, enum log_level level);

/* Writes one line; use log_event. Text values are cut at 512 bytes and escaped. */
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
