#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_LIMIT 4096
#define TEXT_LIMIT 512

static enum log_format log_line_format = LOG_LOGFMT;
static enum log_level log_least_level = LOG_INFO;

struct line {
    size_t size;
    char text[LINE_LIMIT];
};

void log_configure(enum log_format format, enum log_level level)
{
    log_line_format = format;
    log_least_level = level;
}

static void append(struct line *line, const char *text, size_t size)
{
    /* Room stays for what ends the line. */
    if (line->size + size > sizeof(line->text) - 4)
        size = line->size < sizeof(line->text) - 4 ? sizeof(line->text) - 4 - line->size : 0;
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

/* Printable ASCII as it is; everything else escaped, so that a value can neither end its line nor
 * make the JSON invalid. */
static void append_quoted(struct line *line, const char *text)
{
    append(line, "\"", 1);
    for (size_t i = 0; text[i] != '\0' && i < TEXT_LIMIT; i++) {
        unsigned char byte = (unsigned char)text[i];
        char escaped[8];

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

static int needs_quotes(const char *text)
{
    if (text[0] == '\0' || strlen(text) > TEXT_LIMIT)
        return 1;
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\' || *text == '=')
            return 1;
    }
    return 0;
}

static void append_field(struct line *line, const struct log_field *field)
{
    int is_json = log_line_format == LOG_JSON;
    char number[24];

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
        snprintf(number, sizeof(number), "%lld", (long long)field->number);
        append(line, number, strlen(number));
    } else if (is_json || strcmp(field->key, "event") == 0 || needs_quotes(field->text)) {
        append_quoted(line, field->text);
    } else {
        append(line, field->text, strlen(field->text));
    }
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
    struct line line = {0};
    char time_text[40];

    if (level > log_least_level)
        return;
    format_time(time_text);
    if (log_line_format == LOG_JSON)
        append(&line, "{", 1);
    append_field(&line, &(struct log_field){.key = "time", .text = time_text});
    append_field(&line, &(struct log_field){.key = "level", .text = levels[level]});
    for (; fields->key; fields++)
        append_field(&line, fields);
    if (log_line_format == LOG_JSON)
        line.text[line.size++] = '}';
    line.text[line.size++] = '\n';

    ssize_t written = write(STDERR_FILENO, line.text, line.size);

    (void)written; /* there is nowhere else to complain */
}
