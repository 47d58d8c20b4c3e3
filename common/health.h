/*
 * `--health`: a program asks the one that runs beside it whether it is alive, for supervisors that
 * can only run a command, such as Docker. It goes by the same options, environment and config file
 * as that one, so that both agree on where it is asked.
 */
#ifndef COMMON_HEALTH_H
#define COMMON_HEALTH_H

#include <stdbool.h>

/* Takes `--health` out of the arguments. False where it is not among them. */
bool health_take_argument(int *argument_count, char **arguments);

/*
 * Asks /health of the admin listener at `admin_listen` (numeric host:port, or "off"), with a
 * deadline of 3 s for each step. Returns the exit code: 0 where the answer is 200; 1 where it is
 * another one or none, and 2 where there is no such listener, which one line on stderr says.
 */
int health_ask(const char *program, const char *admin_listen);

#endif
