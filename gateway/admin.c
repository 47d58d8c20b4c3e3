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
};

static void append_metrics(struct buffer *text, struct admin *admin)
{
    admin_append_metrics(text, admin->hub, http_server_accept_errors(admin->server));
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

    if (site_refuse_host(request, output) ||
        site_respond_status(admin->hub->status, request, output) ||
        console_respond(request, output))
        return HTTP_ANSWERED;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        if (strcmp(request->path, documents[i].path) == 0) {
            respond_document(admin, request, i, output);
            return HTTP_ANSWERED;
        }
    }
    http_response_append_error(output, 404, NULL,
                               "try /, /metrics, /state, /log, /health or /ready",
                               http_request_is_head(request), request->keep_alive);
    return HTTP_ANSWERED;
}

int admin_start(struct admin **out, struct loop *loop, int fd, struct hub *hub,
                uint64_t connection_limit)
{
    struct admin *admin = memory_zeroed(1, sizeof(*admin));

    admin->hub = hub;
    *out = admin;
    return http_server_start(&admin->server, loop, fd, connection_limit, respond, admin);
}

void admin_stop(struct admin *admin)
{
    http_server_stop(admin->server);
    memory_free(admin); /* nothing is asked of it any more */
}
