/*
 * The named sections of a config file, as they are filled while it is read. Internal to the option
 * modules.
 */
#ifndef COMMON_OPTION_SECTION_H
#define COMMON_OPTION_SECTION_H

#include "common/option.h"
#include "common/option_value.h"

/*
 * Begins the section that the file calls `title`, "namespace chat", in this line: `*section` has
 * the defaults of sections. Returns 0; or UV_EINVAL with what is wrong in `problem`, and `*section`
 * one whose settings can still be looked at, which is NULL where nothing says what they would be.
 */
int option_section_begin(const struct option_program *program, void *configuration,
                         const char *title, int line, struct option_section **section,
                         char problem[OPTION_PROBLEM_LIMIT]);

/* As option_value_set, of an option that may stand in sections and of a section's own values. A
 * value that was given before is an error, but for lists, which grow. */
int option_section_set(const struct option_program *program, struct option_section *section,
                       const struct option *option, const char *text,
                       char problem[OPTION_PROBLEM_LIMIT]);

/* Gives all sections what they take from the top. */
void option_sections_inherit(const struct option_program *program, void *configuration);

void option_sections_free(const struct option_program *program, void *configuration);

#endif
