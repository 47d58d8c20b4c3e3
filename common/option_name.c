#include "common/option_name.h"

#include <string.h>

const struct option *option_find(const struct option_program *program, const char *name,
                                 bool in_section)
{
    for (size_t i = 0; i < program->option_count; i++) {
        const struct option *option = &program->options[i];

        if ((option->in_section || !in_section) && strcmp(option->name, name) == 0)
            return option;
    }
    return NULL;
}

/* Levenshtein distance over names of at most OPTION_NAME_LIMIT characters, one row at a time. */
static size_t edit_distance(const char *left, const char *right)
{
    size_t row[OPTION_NAME_LIMIT + 1];
    size_t width = strnlen(right, OPTION_NAME_LIMIT);

    for (size_t i = 0; i <= width; i++)
        row[i] = i;
    for (size_t i = 0; i < OPTION_NAME_LIMIT && left[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t substitution = diagonal + (left[i] == right[j] ? 0 : 1);
            size_t shorter = row[j] < row[j + 1] ? row[j] : row[j + 1];

            diagonal = row[j + 1];
            row[j + 1] = substitution < shorter + 1 ? substitution : shorter + 1;
        }
    }
    return row[width];
}

const struct option *option_nearest(const struct option_program *program, const char *name,
                                    bool in_section)
{
    const struct option *nearest = NULL;
    size_t least = strlen(name) / 3 + 1;

    for (size_t i = 0; i < program->option_count; i++) {
        const struct option *option = &program->options[i];
        size_t distance = edit_distance(name, option->name);

        if ((option->in_section || !in_section) && distance <= least) {
            least = distance;
            nearest = option;
        }
    }
    return nearest;
}
