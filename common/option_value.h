/*
 * One option's value: from the text that a user wrote to the member of the configuration struct and
 * away again. Internal to the option modules; pure.
 */
#ifndef COMMON_OPTION_VALUE_H
#define COMMON_OPTION_VALUE_H

#include <stdbool.h>

#include "common/option.h"

#define OPTION_PROBLEM_LIMIT 256

/*
 * Sets the option's member of `configuration` from `text`. A value that is there already is
 * replaced and freed; where `adds`, a list grows instead. Returns 0, or UV_EINVAL with what is
 * wrong in `problem`, as a phrase that can follow "--name: ", and the member unchanged.
 */
int option_value_set(const struct option *option, void *configuration, const char *text, bool adds,
                     char problem[OPTION_PROBLEM_LIMIT]);

/* Whether the option has the same value in two configurations. */
bool option_value_equals(const struct option *option, const void *left, const void *right);

/* Gives the member of `configuration` the value that it has in `from`. */
void option_value_copy(const struct option *option, void *configuration, const void *from);

/* Frees what the member owns and zeroes it. */
void option_value_clear(const struct option *option, void *configuration);

#endif
