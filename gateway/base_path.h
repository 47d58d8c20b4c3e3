/*
 * The path below which everything public lies (--base-path), for a proxy that passes on part of a
 * site's paths as they are. `/` is none: all paths are ours. Pure.
 */
#ifndef GATEWAY_BASE_PATH_H
#define GATEWAY_BASE_PATH_H

#include <stdbool.h>

/* True for `/` and for what may stand in front of other paths: `/chat`, `/apps/chat`, of letters,
 * digits and `-._~`, without an empty part, `.` or `..`. */
bool base_path_is_valid(const char *base);

/*
 * What is left of a request's path: `/ws` of `/chat/ws` below `/chat`. "" for the base itself
 * without a slash behind it, which relative addresses on a page need; NULL for a path outside.
 */
const char *base_path_strip(const char *base, const char *path);

#endif
