#include "gateway/admin.h"

#include <string.h>

#include "common/console.h"
#include "common/http_response.h"
#include "common/http_server.h"
#include "common/memory.h"
#include "gateway/state.h"

struct admin {
    struct http_server *server;
    struct hub *hub;
    struct api *api;
};

static void append_metrics(struct buffer *text, struct admin *admin)
{
    admin_append_metrics(text, admin->hub, http_server_accept_errors(admin->server));
    api_append_metrics(text, admin->api);
}

static void append_state(struct buffer *text, struct admin *admin)
{
    state_append(text, admin->hub);
}

static const struct {
    const char *path;
    const char *content_type;
    void (*append)(struct buffer *text, struct admin *admin);
} documents[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", append_metrics},
    {"/state", "application/json", append_state},
};

static void respond_document(struct admin *admin, const struct http_request *request, size_t index,
                             struct buffer *output)
{
    bool is_head = http_request_is_head(request);
    struct buffer text = {0};

    if (!is_head && strcmp(request->method, "GET") != 0) {
        http_response_append_error(output, 405, "Allow: GET, HEAD\r\n", "use GET", false,
                                   request->keep_alive);
        return;
    }
    documents[index].append(&text, admin);
    http_response_append(output, &(struct http_response){
                                     .status = 200,
                                     .content_type = documents[index].content_type,
                                     .headers = "Cache-Control: no-store\r\n",
                                     .body = text.data,
                                     .body_size = text.size,
                                     .is_head = is_head,
                                     .keep_alive = request->keep_alive,
                                 });
    buffer_deinit(&text);
}

static enum http_verdict respond(void *context, const struct http_request *request,
                                 struct buffer *output)
{
    struct admin *admin = context;

    if (site_refuse_host(request, output))
        return HTTP_ANSWERED;
    if (api_serves(request->path))
        return api_respond(admin->api, request, output);
    if (site_respond_status(admin->hub->status, request, output) ||
        console_respond(request, output))
        return HTTP_ANSWERED;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        if (strcmp(request->path, documents[i].path) == 0) {
            respond_document(admin, request, i, output);
            return HTTP_ANSWERED;
        }
    }
    http_response_append_error(output, 404, NULL,
                               "try /, /metrics, /state, /log, /health, /ready or /api",
                               http_request_is_head(request), request->keep_alive);
    return HTTP_ANSWERED;
}

static size_t body_limit(void *context, const struct http_request *request)
{
    const struct admin *admin = context;

    return api_serves(request->path) ? api_body_limit(admin->api, request) : 0;
}

int admin_start(struct admin **out, struct loop *loop, int fd, struct hub *hub, struct api *api,
                uint64_t connection_limit)
{
    int error;
    struct admin *admin = memory_zeroed(1, sizeof(*admin));

    admin->hub = hub;
    admin->api = api;
    *out = admin;
    error = http_server_start(&admin->server, loop, fd, connection_limit, respond, admin);
    http_server_allow_bodies(admin->server, body_limit);
    return error;
}

void admin_stop(struct admin *admin)
{
    http_server_stop(admin->server);
    memory_free(admin); /* nothing is asked of it any more */
}
