/* What `--help` prints, made from the option table. Internal to the option modules. */
#ifndef COMMON_OPTION_HELP_H
#define COMMON_OPTION_HELP_H

#include <stdio.h>

#include "common/option.h"

void option_help_print(const struct option_program *program, FILE *output);

#endif
