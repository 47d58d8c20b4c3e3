/*
 * inih reads the lines. It cuts lines at a fixed length and carries on as if the rest were a line
 * of its own, and it hands no line numbers to its callback; the reader that feeds it here refuses
 * such lines and counts. It also cuts the names of sections, ignores what stands behind them, and
 * says nothing of one without settings; so the reader takes these lines itself, and gives inih a
 * section without a name instead, which ends the setting before it.
 */
#include "common/option_file.h"

#include <ini.h>
#include <stdbool.h>
#include <string.h>
#include <uv.h>

/* What fits into inih's buffer with its newline and zero byte. */
#define LINE_LIMIT (INI_MAX_LINE - 2)

#define BOM "\xef\xbb\xbf"
/* What inih is given instead of a section's line, and no longer than any that there is. */
#define EMPTY_SECTION "[]"

#define BLANK " \t\r"

struct reader {
    const char *text;
    size_t size;
    int line;
    int result; /* of the first thing that went wrong; nothing is handed on after it */
    const char *problem;
    bool in_setting; /* an indented line goes on with its value, whatever stands there */
    option_file_setting *setting;
    option_file_section *section;
    void *context;
};

static void fail(struct reader *reader, const char *problem)
{
    reader->result = UV_EINVAL;
    reader->problem = problem;
}

/* The line where a section's name may stand; NULL where it is none. */
static const char *section_start(const struct reader *reader, const char *line)
{
    if (reader->line == 1 && strncmp(line, BOM, strlen(BOM)) == 0)
        line += strlen(BOM);
    if (!reader->in_setting)
        line += strspn(line, BLANK);
    return line[0] == '[' ? line + 1 : NULL;
}

/* Takes the name out of `start`, what stands behind the bracket. */
static void read_section(struct reader *reader, const char *start)
{
    char name[LINE_LIMIT + 1];
    size_t length = strcspn(start, "]");
    const char *rest = start + length + (start[length] == ']' ? 1 : 0);

    rest += strspn(rest, BLANK);
    if (start[length] != ']' || (rest[0] != '\0' && rest[0] != '#' && rest[0] != ';')) {
        fail(reader, "expected a section such as [name], alone in its line");
        return;
    }
    while (length > 0 && strspn(start, BLANK) > 0) {
        start++;
        length--;
    }
    while (length > 0 && strchr(BLANK, start[length - 1]))
        length--;
    memcpy(name, start, length);
    name[length] = '\0';
    reader->in_setting = false;
    reader->result = reader->section(reader->context, reader->line, name);
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
    target[length] = '\0';
    reader->text += length + (end ? 1 : 0);
    reader->size -= length + (end ? 1 : 0);

    const char *section = section_start(reader, target);

    if (section) {
        read_section(reader, section);
        length = strlen(EMPTY_SECTION);
        memcpy(target, EMPTY_SECTION, length);
    }
    target[length] = '\n';
    target[length + 1] = '\0';
    return target;
}

/* inih: non-zero is success. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;

    (void)section;
    reader->in_setting = true;
    if (reader->result == 0)
        reader->result = reader->setting(reader->context, reader->line, name, value);
    return 1;
}

int option_file_parse(const char *text, size_t size, option_file_setting *setting,
                      option_file_section *section, void *context, int *line, const char **problem)
{
    struct reader reader = {
        .text = text, .size = size, .setting = setting, .section = section, .context = context};
    int bad_line = ini_parse_stream(read_line, &reader, on_setting, &reader);

    *line = reader.line;
    *problem = reader.problem;
    if (reader.result || bad_line == 0)
        return reader.result;
    *line = bad_line;
    *problem = "expected name = value";
    return UV_EINVAL;
}
