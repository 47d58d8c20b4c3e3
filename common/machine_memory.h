/*
 * How much memory the process may use. libuv knows the machine's, and the limits of version 1 of
 * control groups, but not those of version 2: in a container of 512 MiB it would see the node's.
 */
#ifndef COMMON_MACHINE_MEMORY_H
#define COMMON_MACHINE_MEMORY_H

#include <stdint.h>

/* Bytes of the machine, or fewer where a control group says so. */
uint64_t machine_memory(void);

/* The lowest limit of the groups (control_group.h), 0: none. */
uint64_t machine_memory_quota(const char *membership, const char *mount);

#endif
