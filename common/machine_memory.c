#include "common/machine_memory.h"

#include <stdlib.h>
#include <uv.h>

#include "common/control_group.h"

/* 0 is no quota. "max" reads as that; version 1 says a number beyond any machine. */
static uint64_t stricter(uint64_t left, uint64_t right)
{
    return left == 0 || (right != 0 && right < left) ? right : left;
}

static void add_quota(void *context, const char *group)
{
    uint64_t *strictest = context;
    char line[CONTROL_GROUP_LINE];

    if (control_group_read(group, "memory.max", line) ||
        control_group_read(group, "memory.limit_in_bytes", line))
        *strictest = stricter(*strictest, strtoull(line, NULL, 10));
}

uint64_t machine_memory_quota(const char *membership, const char *mount)
{
    uint64_t quota = 0;

    control_group_each(membership, mount, "memory", add_quota, &quota);
    return quota;
}

uint64_t machine_memory(void)
{
    return stricter(uv_get_total_memory(),
                    machine_memory_quota("/proc/self/cgroup", "/sys/fs/cgroup"));
}
