/*
 * The console: what operators see of a program in a browser, on its admin listener. `/` is a page
 * without a framework, compiled in from common/console, that shows what `/metrics`, `/state` and
 * `/ready` say; `/log` has the newest lines of the log. It changes nothing. A request in, a
 * response out; no I/O.
 */
#ifndef COMMON_CONSOLE_H
#define COMMON_CONSOLE_H

#include <stdbool.h>

#include "common/buffer.h"
#include "common/http_request.h"

/* Answers a request for `/`, the page's files or `/log` (`?after=NUMBER`: only lines above it);
 * false for other paths. */
bool console_respond(const struct http_request *request, struct buffer *output);

#endif
