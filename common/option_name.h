/* From a name that a user wrote to the option that is meant. Internal to the option modules; pure.
 */
#ifndef COMMON_OPTION_NAME_H
#define COMMON_OPTION_NAME_H

#include <stdbool.h>

#include "common/option.h"

#define OPTION_NAME_LIMIT 64 /* bytes, with the zero byte */

/* The option of this name, of those that may stand in a section where `in_section`; or NULL. */
const struct option *option_find(const struct option_program *program, const char *name,
                                 bool in_section);

/* The one that a mistyped name most likely meant, or NULL where none comes near. */
const struct option *option_nearest(const struct option_program *program, const char *name,
                                    bool in_section);

#endif
