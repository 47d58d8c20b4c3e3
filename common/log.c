#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log_tail.h"
#include "common/utf8.h"

#define LINE_LIMIT 4096
#define TEXT_LIMIT 512

static _Atomic enum log_format log_line_format = LOG_LOGFMT;
static _Atomic enum log_level log_least_level = LOG_INFO;

struct line {
    enum log_format format;
    size_t size;
    bool is_full; /* something did not fit */
    char text[LINE_LIMIT];
};

void log_configure(enum log_format format, enum log_level level)
{
    log_line_format = format;
    log_least_level = level;
}

bool log_is_written(enum log_level level)
{
    return level <= log_least_level;
}

static void append(struct line *line, const char *text, size_t size)
{
    /* Room stays for what ends the line. */
    if (line->is_full || size > sizeof(line->text) - 4 - line->size) {
        line->is_full = true;
        return;
    }
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

/* Bytes of the UTF-8 character of two bytes or more at `text`, or 0 where there is none that may be
 * shown: U+0080 to U+009F are control characters. */
static size_t wide_character(const char *text)
{
    unsigned char lead = (unsigned char)text[0];
    size_t size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

    if (size == 0 || strnlen(text, size) < size ||
        !utf8_is_valid((const unsigned char *)text, size))
        return 0;
    return lead == 0xc2 && (unsigned char)text[1] < 0xa0 ? 0 : size;
}

/* Text as it is; control characters and bytes that are no UTF-8 escaped, so that a value can
 * neither end its line nor make the JSON invalid. */
static void append_quoted(struct line *line, const char *text)
{
    append(line, "\"", 1);
    for (size_t i = 0; i < TEXT_LIMIT && text[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)text[i];
        size_t wide = wide_character(text + i);
        char escaped[8];

        if (wide > 0) {
            append(line, text + i, wide);
            i += wide - 1;
            continue;
        }
        if (byte == '"' || byte == '\\')
            snprintf(escaped, sizeof(escaped), "\\%c", byte);
        else if (byte < 0x20 || byte > 0x7e)
            snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
        else
            snprintf(escaped, sizeof(escaped), "%c", byte);
        append(line, escaped, strlen(escaped));
    }
    append(line, "\"", 1);
}

static bool needs_quotes(const char *text)
{
    if (text[0] == '\0' || strlen(text) > TEXT_LIMIT)
        return true;
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\' || *text == '=')
            return true;
    }
    return false;
}

static void append_field(struct line *line, const struct log_field *field)
{
    bool is_json = line->format == LOG_JSON;
    size_t size = line->size;

    if (is_json) {
        append(line, line->size > 1 ? ",\"" : "\"", line->size > 1 ? 2 : 1);
        append(line, field->key, strlen(field->key));
        append(line, "\":", 2);
    } else {
        if (line->size > 0)
            append(line, " ", 1);
        append(line, field->key, strlen(field->key));
        append(line, "=", 1);
    }
    if (!field->text) {
        char number[24];

        snprintf(number, sizeof(number), "%lld", (long long)field->number);
        append(line, number, strlen(number));
    } else if (is_json || strcmp(field->key, "event") == 0 || needs_quotes(field->text)) {
        append_quoted(line, field->text);
    } else {
        append(line, field->text, strlen(field->text));
    }
    if (line->is_full)
        line->size = size; /* half a field would not parse */
}

static void format_time(char text[40])
{
    struct timespec now;
    struct tm parts;
    char seconds[24];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, 40, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

void log_write(enum log_level level, const struct log_field *fields)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    struct line line;
    char time_text[40];

    if (!log_is_written(level))
        return;
    line.format = log_line_format;
    line.size = 0;
    line.is_full = false;
    format_time(time_text);
    if (line.format == LOG_JSON)
        append(&line, "{", 1);
    append_field(&line, &(struct log_field){.key = "time", .text = time_text});
    append_field(&line, &(struct log_field){.key = "level", .text = levels[level]});
    for (; fields->key; fields++)
        append_field(&line, fields);
    if (line.format == LOG_JSON)
        line.text[line.size++] = '}';
    log_tail_keep(line.text, line.size);
    line.text[line.size++] = '\n';

    ssize_t written = write(STDERR_FILENO, line.text, line.size);

    (void)written; /* there is nowhere else to complain */
}
