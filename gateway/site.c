#include "gateway/site.h"

#include <string.h>

#include "common/http_response.h"
#include "gateway/client_protocol.h"

static bool is_read(const struct http_request *request)
{
    return strcmp(request->method, "GET") == 0 || http_request_is_head(request);
}

static void respond_text(const struct http_request *request, int status, const char *text,
                         struct buffer *output)
{
    struct http_response response = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .headers = "Cache-Control: no-store\r\n",
        .body = text,
        .body_size = strlen(text),
        .is_head = http_request_is_head(request),
        .keep_alive = request->keep_alive,
    };

    http_response_append(output, &response);
}

bool site_refuse_host(const struct http_request *request, struct buffer *output)
{
    if (http_request_names_host(request))
        return false;
    http_response_append_error(output, 400, NULL, "the request needs one Host header",
                               http_request_is_head(request), request->keep_alive);
    return true;
}

bool site_respond_status(const struct status *status, const struct http_request *request,
                         struct buffer *output)
{
    bool is_health = strcmp(request->path, "/health") == 0;

    if (!is_health && strcmp(request->path, "/ready") != 0)
        return false;
    if (!is_read(request))
        http_response_append_error(output, 405, "Allow: GET, HEAD\r\n", "use GET", false,
                                   request->keep_alive);
    else if (is_health)
        respond_text(request, 200, "alive\n", output);
    else if (atomic_load(&status->is_draining))
        respond_text(request, 503, "draining: no new connections\n", output);
    else if (!atomic_load(&status->is_bus_up))
        respond_text(request, 503, "the bus is away\n", output);
    else if (!atomic_load(&status->is_hearing))
        respond_text(request, 503, "not heard over the bus yet\n", output);
    else
        respond_text(request, 200, "ready\n", output);
    return true;
}

/* What the chat page has to know of its gateway (web/README.md). */
static bool respond_chat(const struct config *config, const struct http_request *request,
                         struct buffer *output)
{
    struct buffer body = {0};

    if (strcmp(request->path, "/chat.json") != 0 || !is_read(request))
        return false;
    buffer_append_text(&body, "{\"lobby\":");
    client_write_json_string(&body, text_of(config->lobby));
    buffer_printf(&body, ",\"messageLimit\":%llu}\n", (unsigned long long)config->max_message_size);

    struct http_response response = {
        .status = 200,
        .content_type = "application/json",
        .headers = "Cache-Control: no-store\r\n",
        .body = body.data,
        .body_size = body.size,
        .is_head = http_request_is_head(request),
        .keep_alive = request->keep_alive,
    };

    http_response_append(output, &response);
    buffer_deinit(&body);
    return true;
}

void site_respond(const struct settings *settings, const struct status *status,
                  const struct http_request *request, struct buffer *output)
{
    if (site_refuse_host(request, output) || site_respond_status(status, request, output))
        return;
    if (settings->files && static_files_respond(settings->files, request, output))
        return;
    if (respond_chat(&settings->config, request, output))
        return;
    if (!is_read(request))
        http_response_append_error(output, 405, "Allow: GET, HEAD\r\n", "use GET", false,
                                   request->keep_alive);
    else
        http_response_append_error(output, 404, NULL, "there is no such page",
                                   http_request_is_head(request), request->keep_alive);
}
