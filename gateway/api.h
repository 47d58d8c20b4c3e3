/*
 * The server API over HTTP, for the application's backend: publishing, who is where, and acts on
 * clients wherever they are connected. Methods, their parameters and results are those that
 * Centrifugo's users know (its versions 4 and 5 were read):
 *
 *     POST /api/publish {"channel":"news","data":{"text":"hi"}} {"result":{"offset":1,"epoch":"…"}}
 *     POST /api/batch   {"commands":[{"publish":{…}},…]}          {"replies":[{"publish":{…}},…]}
 *     POST /api         {"method":"publish","params":{…}}         {"result":{…}}; several, a line
 * each
 *
 * What is wrong with a command is told with status 200, {"error":{"code":102,"message":"…"}}; other
 * statuses are for what is no command: 400, 401, 404, 405, 413.
 *
 * Belongs to the main loop; it stands on the hub's bus and control.
 */
#ifndef GATEWAY_API_H
#define GATEWAY_API_H

#include "common/http_exchange.h"
#include "gateway/hub.h"
#include "gateway/settings.h"

#define API_COMMANDS_LIMIT     1000  /* of a batch */
#define API_CHANNELS_LIMIT     1000  /* of a broadcast */
#define API_PARTS_LIMIT        10000 /* publishes and questions of a batch in all */
#define API_RESULT_LIMIT_BYTES ((size_t)64 * 1024 * 1024) /* of a history */
#define API_WAIT_MS            10000 /* for the bus; then those that are unanswered are refused (108) */

struct api;

/* `hub` must outlive it. Takes a reference to the settings. */
struct api *api_create(struct hub *hub, struct settings *settings);

/* Settings that hold from now on. */
void api_configure(struct api *api, struct settings *settings);

/* After the loop has run out. NULL is allowed. */
void api_destroy(struct api *api);

/* True for the paths that api_respond is to be asked for. */
bool api_serves(const char *path);

/* What a body may come to: four times --max-message-size and 1 MiB; little from who has no key. */
size_t api_body_limit(const struct api *api, const struct http_request *request);

enum http_verdict api_respond(struct api *api, const struct http_request *request,
                              struct buffer *output);

/* Appends what it counted, as admin_append_metrics does. */
void api_append_metrics(struct buffer *text, const struct api *api);

#endif
