#include "gateway/api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/http_response.h"
#include "common/memory.h"
#include "gateway/api_inside.h"
#include "gateway/api_keys.h"

#define PREFIX           "/api"
#define STRANGER_BYTES   ((size_t)64 * 1024)
#define OVERHEAD_BYTES   ((size_t)1024 * 1024)
#define MESSAGES_OF_BODY 4

/* Requests that are no commands. */
static const int refusals[] = {400, 401, 404, 405};

struct api *api_create(struct hub *hub, struct settings *settings)
{
    struct api *api = memory_zeroed(1, sizeof(*api));

    api->hub = hub;
    api->settings = settings_ref(settings);
    return api;
}

void api_configure(struct api *api, struct settings *settings)
{
    settings_unref(api->settings);
    api->settings = settings_ref(settings);
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    settings_unref(api->settings);
    memory_free(api);
}

bool api_serves(const char *path)
{
    size_t size = sizeof(PREFIX) - 1;

    return strncmp(path, PREFIX, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* The key that the request shows; no bytes where there is none. */
static struct text shown_key(const struct http_request *request)
{
    static const char scheme[] = "apikey ";
    const char *key = http_request_header(request, "X-API-Key");
    const char *authorization = http_request_header(request, "Authorization");

    if (key)
        return text_of(key);
    if (!authorization || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
        return (struct text){"", 0};
    authorization += sizeof(scheme) - 1;
    return text_of(authorization + strspn(authorization, " "));
}

static bool is_known(const struct api *api, const struct http_request *request)
{
    const struct api_keys *keys = api->settings->api_keys;

    return keys && api_keys_have(keys, shown_key(request));
}

size_t api_body_limit(const struct api *api, const struct http_request *request)
{
    if (!is_known(api, request))
        return STRANGER_BYTES; /* who gives none is told so rather than 413 */
    return OVERHEAD_BYTES + MESSAGES_OF_BODY * (size_t)api->settings->config.max_message_size;
}

static enum http_verdict refuse(struct api *api, const struct http_request *request, int status,
                                const char *headers, const char *message, struct buffer *output)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (refusals[i] == status)
            metric_add(&api->stats.refused[i], 1);
    }
    http_response_append_error(output, status, headers, message, http_request_is_head(request),
                               request->keep_alive);
    return HTTP_ANSWERED;
}

/* The method that the path names; NULL: that of the old style. */
static const char *method_of(const char *path)
{
    const char *method = path + sizeof(PREFIX) - 1;

    if (*method == '/')
        method++;
    return *method ? method : NULL;
}

enum http_verdict api_respond(struct api *api, const struct http_request *request,
                              struct buffer *output)
{
    const char *method = method_of(request->path);
    const char *problem;
    int status;

    if (!api->settings->api_keys)
        return refuse(api, request, 404, NULL,
                      "the API is off; --api-key-file names the keys that it takes", output);
    if (!is_known(api, request))
        return refuse(api, request, 401, "WWW-Authenticate: apikey\r\n",
                      "expected a key in X-API-Key, or Authorization: apikey KEY", output);
    if (strcmp(request->method, "POST") != 0)
        return refuse(api, request, 405, "Allow: POST\r\n", "use POST", output);
    if (method && strcmp(method, "batch") != 0 && api_method_find(method) == API_METHOD_COUNT)
        return refuse(api, request, 404, NULL, "there is no such method", output);
    status = api_call_begin(api, request, method, &problem);
    if (status)
        return refuse(api, request, status, NULL, problem, output);
    return HTTP_PENDING;
}

static void append_requests(struct buffer *text, const struct api *api)
{
    char label[96];

    metrics_describe(text, "carillon_api_requests_total", METRIC_COUNTER,
                     "Commands of the server API, by method and error; 0 is success.");
    for (int method = 0; method <= API_METHOD_COUNT; method++) {
        for (int slot = 0; slot < API_CODES; slot++) {
            uint64_t value = metric_read(&api->stats.requests[method][slot]);

            if (value == 0 && slot > 0)
                continue;
            snprintf(label, sizeof(label), "method=\"%s\",error=\"%d\"",
                     api_method_name((enum api_method)method),
                     slot > 0 ? CLIENT_ERROR_INTERNAL + slot - 1 : 0);
            metrics_sample(text, "carillon_api_requests_total", label, (double)value);
        }
    }
}

void api_append_metrics(struct buffer *text, const struct api *api)
{
    char label[32];

    append_requests(text, api);
    metrics_describe(text, "carillon_api_refused_total", METRIC_COUNTER,
                     "Requests to the server API that were no commands, by status.");
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        snprintf(label, sizeof(label), "status=\"%d\"", refusals[i]);
        metrics_sample(text, "carillon_api_refused_total", label,
                       (double)metric_read(&api->stats.refused[i]));
    }
    metrics_describe(text, "carillon_api_seconds", METRIC_HISTOGRAM,
                     "From a request to the server API to its answer.");
    metrics_histogram(text, "carillon_api_seconds", &api->stats.time);
}
