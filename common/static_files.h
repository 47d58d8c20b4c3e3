/*
 * The files of a directory, read once at start and served from memory as ready-made responses.
 * Paths are looked up in a table, never on the file system, so no request can leave the directory.
 */
#ifndef COMMON_STATIC_FILES_H
#define COMMON_STATIC_FILES_H

#include <stdbool.h>

#include "common/buffer.h"
#include "common/http_request.h"

struct static_files;

/*
 * Reads every regular file below `root` (following symbolic links only to files inside it, skipping
 * names that start with a dot and README.md; at most 1,000 files, 16 MiB together). Returns 0,
 * UV_E2BIG beyond that, or a libuv error; `*files` is NULL unless it is 0.
 */
int static_files_load(struct static_files **files, const char *root);

/* NULL is allowed. */
void static_files_destroy(struct static_files *files);

/*
 * Appends the answer to a GET or HEAD of `request->path` (`/` is /index.html; `/dir/` is
 * /dir/index.html): 200 or 304 by If-None-Match, with strong ETag, Content-Type by the name's
 * ending (charset=utf-8 for text), Cache-Control: no-cache, a Content-Security-Policy (own origin
 * only, own and other WebSocket origins to connect to, no inline script, nobody frames it),
 * nosniff, Referrer-Policy. 405 with Allow for other methods. Returns false, and appends nothing,
 * where there is no such file. Any thread.
 */
bool static_files_respond(const struct static_files *files, const struct http_request *request,
                          struct buffer *output);

#endif
