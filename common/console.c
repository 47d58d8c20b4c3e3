#include "common/console.h"

#include <stdlib.h>
#include <string.h>

#include "common/console_files.h" /* made of console/ by CMake */
#include "common/http_response.h"
#include "common/log_tail.h"

static const struct {
    const char *path;
    const char *content_type;
    const unsigned char *data;
    size_t size;
} files[] = {
    {"/", "text/html; charset=utf-8", index_html, sizeof(index_html)},
    {"/console.css", "text/css; charset=utf-8", console_css, sizeof(console_css)},
    {"/console.js", "text/javascript; charset=utf-8", console_js, sizeof(console_js)},
    {"/panels.js", "text/javascript; charset=utf-8", panels_js, sizeof(panels_js)},
    {"/parse.js", "text/javascript; charset=utf-8", parse_js, sizeof(parse_js)},
    {"/tiles.js", "text/javascript; charset=utf-8", tiles_js, sizeof(tiles_js)},
    {"/icon.svg", "image/svg+xml", icon_svg, sizeof(icon_svg)},
};

/* The page loads and asks nothing but its own program, and nobody frames it. */
static const char guards[] =
    "Cache-Control: no-store\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\n";

static void respond(const struct http_request *request, const char *type, const void *data,
                    size_t size, struct buffer *output)
{
    bool is_head = http_request_is_head(request);

    if (!is_head && strcmp(request->method, "GET") != 0) {
        http_response_append_error(output, 405, "Allow: GET, HEAD\r\n", "use GET", false,
                                   request->keep_alive);
        return;
    }
    http_response_append(output, &(struct http_response){
                                     .status = 200,
                                     .content_type = type,
                                     .headers = guards,
                                     .body = data,
                                     .body_size = size,
                                     .is_head = is_head,
                                     .keep_alive = request->keep_alive,
                                 });
}

static void respond_log(const struct http_request *request, struct buffer *output)
{
    struct buffer text = {0};
    char after[24];
    int size = http_query_value(request->query, "after", after, sizeof(after) - 1);

    log_tail_append(&text, size > 0 ? strtoull(after, NULL, 10) : 0);
    respond(request, "text/plain; charset=utf-8", text.data, text.size, output);
    buffer_deinit(&text);
}

bool console_respond(const struct http_request *request, struct buffer *output)
{
    if (strcmp(request->path, "/log") == 0) {
        respond_log(request, output);
        return true;
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(request->path, files[i].path) == 0) {
            respond(request, files[i].content_type, files[i].data, files[i].size, output);
            return true;
        }
    }
    return false;
}
