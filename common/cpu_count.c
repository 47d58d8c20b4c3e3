#include "common/cpu_count.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "common/control_group.h"

unsigned cpu_quota_parse(const char *text)
{
    char *end;
    long long quota = strtoll(text, &end, 10);
    long long period = strtoll(end, NULL, 10);

    if (quota <= 0 || period <= 0)
        return 0;

    long long cores = quota / period + (quota % period ? 1 : 0);

    return cores < INT_MAX ? (unsigned)cores : 0;
}

/* 0 is no quota. */
static unsigned stricter(unsigned left, unsigned right)
{
    return left == 0 || (right != 0 && right < left) ? right : left;
}

static void add_quota(void *context, const char *group)
{
    unsigned *strictest = context;
    char quota[CONTROL_GROUP_LINE];
    char period[CONTROL_GROUP_LINE];
    char both[2 * CONTROL_GROUP_LINE];

    if (control_group_read(group, "cpu.max", quota)) {
        *strictest = stricter(*strictest, cpu_quota_parse(quota));
        return;
    }
    if (!control_group_read(group, "cpu.cfs_quota_us", quota) ||
        !control_group_read(group, "cpu.cfs_period_us", period))
        return;
    snprintf(both, sizeof(both), "%s %s", quota, period);
    *strictest = stricter(*strictest, cpu_quota_parse(both));
}

unsigned cpu_quota(const char *membership, const char *mount)
{
    unsigned quota = 0;

    control_group_each(membership, mount, "cpu", add_quota, &quota);
    return quota;
}

unsigned cpu_count(void)
{
    unsigned cores = uv_available_parallelism();
    unsigned quota = cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");

    return stricter(cores, quota);
}
