/*
 * inih reads the lines. It cuts lines at a fixed length and carries on as if the rest were a line
 * of its own, and it hands no line numbers to its callback; the reader that feeds it here refuses
 * such lines and counts.
 */
#include "common/option_file.h"

#include <ini.h>
#include <string.h>
#include <uv.h>

/* What fits into inih's buffer with its newline and zero byte. */
#define LINE_LIMIT (INI_MAX_LINE - 2)

struct reader {
    const char *text;
    size_t size;
    int line;
    int result; /* of the first thing that went wrong; nothing is handed on after it */
    const char *problem;
    option_file_setting *setting;
    void *context;
};

static void fail(struct reader *reader, const char *problem)
{
    reader->result = UV_EINVAL;
    reader->problem = problem;
}

/* As fgets: one line into `target`, or NULL at the end. */
static char *read_line(char *target, int capacity, void *stream)
{
    struct reader *reader = stream;
    const char *end = memchr(reader->text, '\n', reader->size);
    size_t length = end ? (size_t)(end - reader->text) : reader->size;

    if (reader->size == 0 || reader->result)
        return NULL;
    reader->line++;
    if (length > LINE_LIMIT || length + 2 > (size_t)capacity) {
        fail(reader, "the line is longer than 198 characters");
        return NULL;
    }
    if (memchr(reader->text, '\0', length)) {
        fail(reader, "the line holds a zero byte");
        return NULL;
    }
    memcpy(target, reader->text, length);
    target[length] = '\n';
    target[length + 1] = '\0';
    reader->text += length + (end ? 1 : 0);
    reader->size -= length + (end ? 1 : 0);
    return target;
}

/* inih: non-zero is success. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;

    if (reader->result)
        return 1;
    if (section[0] != '\0')
        fail(reader, "there are no sections in this file");
    else
        reader->result = reader->setting(reader->context, reader->line, name, value);
    return 1;
}

int option_file_parse(const char *text, size_t size, option_file_setting *setting, void *context,
                      int *line, const char **problem)
{
    struct reader reader = {.text = text, .size = size, .setting = setting, .context = context};
    int bad_line = ini_parse_stream(read_line, &reader, on_setting, &reader);

    *line = reader.line;
    *problem = reader.problem;
    if (reader.result || bad_line == 0)
        return reader.result;
    *line = bad_line;
    *problem = "expected name = value";
    return UV_EINVAL;
}
