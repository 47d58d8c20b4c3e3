/*
 * The control groups (cgroups, version 1 or 2) that limit this process: its own and their parents,
 * as far up as the process sees.
 */
#ifndef COMMON_CONTROL_GROUP_H
#define COMMON_CONTROL_GROUP_H

#include <stdbool.h>

#define CONTROL_GROUP_LINE 64

/*
 * Calls `visit` with the folder of each group that limits a controller ("cpu", "memory").
 * `membership` is a file like /proc/self/cgroup, `mount` where the groups are.
 */
void control_group_each(const char *membership, const char *mount, const char *controller,
                        void (*visit)(void *context, const char *group), void *context);

/* The first line of a file of the group, without its end. False where there is none. */
bool control_group_read(const char *group, const char *name, char line[CONTROL_GROUP_LINE]);

#endif
