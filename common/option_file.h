/*
 * The syntax of a config file: `name = value` a line, blank lines, `#` and `;` comments, and
 * `[section]` lines. Internal to the option modules; pure, and so what the fuzzer holds.
 */
#ifndef COMMON_OPTION_FILE_H
#define COMMON_OPTION_FILE_H

#include <stddef.h>

#define OPTION_FILE_LIMIT ((size_t)1024 * 1024)

/* One setting, with the number of its line from 1. Returns 0 to go on, anything else to stop. */
typedef int option_file_setting(void *context, int line, const char *name, const char *value);

/* The beginning of a section: what stands between the brackets, without blanks around it. */
typedef int option_file_section(void *context, int line, const char *name);

/*
 * Calls `setting` and `section` for what is in `text`, in its order. Returns 0; what one of them
 * returned to stop; or UV_EINVAL with the line and what is wrong with it in `*line` and `*problem`.
 */
int option_file_parse(const char *text, size_t size, option_file_setting *setting,
                      option_file_section *section, void *context, int *line, const char **problem);

#endif
