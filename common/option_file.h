/*
 * The syntax of a config file: `name = value` a line, blank lines, `#` and `;` comments. Internal
 * to the option modules; pure, and so what the fuzzer holds.
 */
#ifndef COMMON_OPTION_FILE_H
#define COMMON_OPTION_FILE_H

#include <stddef.h>

#define OPTION_FILE_LIMIT ((size_t)1024 * 1024)

/* One setting, with the number of its line from 1. Returns 0 to go on, anything else to stop. */
typedef int option_file_setting(void *context, int line, const char *name, const char *value);

/*
 * Calls `setting` for each one in `text`. Returns 0; what `setting` returned to stop; or UV_EINVAL
 * with the line and what is wrong with it in `*line` and `*problem`.
 */
int option_file_parse(const char *text, size_t size, option_file_setting *setting, void *context,
                      int *line, const char **problem);

#endif
