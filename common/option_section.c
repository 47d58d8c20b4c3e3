/*
 * A section's values lie in a struct of the type that the configuration embeds for the top. So an
 * option of the table serves both: seen from a section, it has another offset and another default.
 */
#include "common/option_section.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

static struct option_sections *sections_of(const struct option_program *program,
                                           void *configuration)
{
    return (void *)((unsigned char *)configuration + program->section->sections_offset);
}

static struct option seen_from_section(const struct option_program *program,
                                       const struct option *option)
{
    struct option seen = *option;

    seen.offset -= program->section->values_offset;
    seen.fallback = option->section_fallback;
    return seen;
}

static struct option_section *find(const struct option_sections *sections, const char *name)
{
    for (size_t i = 0; i < sections->count; i++) {
        if (strcmp(sections->items[i]->name, name) == 0)
            return sections->items[i];
    }
    return NULL;
}

/* Where the table has a default that its own type refuses, the value stays zero. */
static void set_defaults(const struct option_program *program, struct option_section *section)
{
    char problem[OPTION_PROBLEM_LIMIT];

    for (size_t i = 0; i < program->option_count; i++) {
        struct option seen = seen_from_section(program, &program->options[i]);

        if (seen.in_section && seen.fallback)
            option_value_set(&seen, section->values, seen.fallback, false, problem);
    }
}

static struct option_section *add(const struct option_program *program,
                                  struct option_sections *sections, const char *name, int line)
{
    struct option_section *section = memory_zeroed(1, sizeof(*section));

    section->name = memory_copy_text(name, strlen(name));
    section->line = line;
    section->values = memory_zeroed(1, program->section->values_size);
    section->given = memory_zeroed(program->option_count, sizeof(section->given[0]));
    set_defaults(program, section);
    sections->items =
        memory_resize(sections->items, (sections->count + 1) * sizeof(sections->items[0]));
    sections->items[sections->count++] = section;
    return section;
}

/* "namespace chat" → "chat"; NULL where it is no such section. */
static const char *name_in(const struct option_section_kind *kind, const char *title)
{
    size_t length = strlen(kind->name);

    if (strncmp(title, kind->name, length) != 0 || strspn(title + length, " \t") == 0)
        return NULL;
    return title + length + strspn(title + length, " \t");
}

static bool is_name(const char *name)
{
    size_t length = strlen(name);

    return length >= 1 && length <= OPTION_SECTION_NAME_LIMIT &&
           strspn(name, NAME_CHARACTERS) == length;
}

int option_section_begin(const struct option_program *program, void *configuration,
                         const char *title, int line, struct option_section **section,
                         char problem[OPTION_PROBLEM_LIMIT])
{
    const struct option_section_kind *kind = program->section;

    *section = NULL;
    if (!kind) {
        snprintf(problem, OPTION_PROBLEM_LIMIT, "there are no sections in this file");
        return UV_EINVAL;
    }

    struct option_sections *sections = sections_of(program, configuration);
    const char *name = name_in(kind, title);

    if (!name) {
        snprintf(problem, OPTION_PROBLEM_LIMIT, "unknown section; expected [%s NAME]", kind->name);
        return UV_EINVAL;
    }
    *section = find(sections, name);
    if (*section) {
        snprintf(problem, OPTION_PROBLEM_LIMIT, "the section began in line %d already",
                 (*section)->line);
        memset((*section)->given, 0, program->option_count * sizeof((*section)->given[0]));
        return UV_EINVAL;
    }
    if (sections->count >= kind->limit) {
        snprintf(problem, OPTION_PROBLEM_LIMIT, "there are more than %zu sections", kind->limit);
        return UV_EINVAL;
    }
    *section = add(program, sections, name, line);
    if (is_name(name))
        return 0;
    snprintf(problem, OPTION_PROBLEM_LIMIT,
             "the name of a section is 1 to %d letters, digits, _, . or -",
             OPTION_SECTION_NAME_LIMIT);
    return UV_EINVAL;
}

int option_section_set(const struct option_program *program, struct option_section *section,
                       const struct option *option, const char *text,
                       char problem[OPTION_PROBLEM_LIMIT])
{
    struct option seen = seen_from_section(program, option);
    bool *given = &section->given[option - program->options];

    if (*given && option->type != OPTION_LIST) {
        snprintf(problem, OPTION_PROBLEM_LIMIT, "is set twice in this section");
        return UV_EINVAL;
    }

    int result = option_value_set(&seen, section->values, text, *given, problem);

    *given = *given || result == 0;
    return result;
}

static void inherit(const struct option_program *program, struct option_section *section,
                    const void *top)
{
    for (size_t i = 0; i < program->option_count; i++) {
        struct option seen = seen_from_section(program, &program->options[i]);

        if (seen.in_section && !seen.fallback && !section->given[i])
            option_value_copy(&seen, section->values, top);
    }
}

void option_sections_inherit(const struct option_program *program, void *configuration)
{
    if (!program->section)
        return;

    const struct option_sections *sections = sections_of(program, configuration);

    for (size_t i = 0; i < sections->count; i++)
        inherit(program, sections->items[i],
                (const unsigned char *)configuration + program->section->values_offset);
}

static void free_section(const struct option_program *program, struct option_section *section)
{
    for (size_t i = 0; i < program->option_count; i++) {
        struct option seen = seen_from_section(program, &program->options[i]);

        if (seen.in_section)
            option_value_clear(&seen, section->values);
    }
    memory_free(section->values);
    memory_free(section->given);
    memory_free(section->name);
    memory_free(section);
}

void option_sections_free(const struct option_program *program, void *configuration)
{
    if (!program->section)
        return;

    struct option_sections *sections = sections_of(program, configuration);

    for (size_t i = 0; i < sections->count; i++)
        free_section(program, sections->items[i]);
    memory_free(sections->items);
    *sections = (struct option_sections){0};
}
