/*
 * How many cores the process may use. libuv knows the affinity mask, but not the quota with which
 * containers are limited: on a node of 64 cores one with a single CPU sees 64.
 */
#ifndef COMMON_CPU_COUNT_H
#define COMMON_CPU_COUNT_H

/* Cores of the affinity mask, or fewer where a quota says so. At least 1. */
unsigned cpu_count(void);

/*
 * The quota of the cgroups that `membership` (/proc/self/cgroup) lists, below `mount`
 * (/sys/fs/cgroup): the lowest of each group and its parents, version 2 or 1, in whole cores,
 * rounded up. 0 where there is none.
 */
unsigned cpu_quota(const char *membership, const char *mount);

/* Reads "QUOTA PERIOD" as in cpu.max, both in microseconds: whole cores, rounded up; 0 for "max", a
 * negative quota (which is version 1's way to say that) and anything else. */
unsigned cpu_quota_parse(const char *text);

#endif
