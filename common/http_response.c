#include "common/http_response.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {421, "Misdirected Request"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* IMF-fixdate (RFC 9110 §5.6.7), without strftime, whose names follow the locale. Kept per thread
 * for the second in which it holds. */
static const char *http_date(void)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static _Thread_local time_t shown;
    static _Thread_local char text[64];
    time_t now = time(NULL);
    struct tm parts;

    if ((now != shown || text[0] == '\0') && gmtime_r(&now, &parts)) {
        snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday],
                 parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                 parts.tm_min, parts.tm_sec);
        shown = now;
    }
    return text;
}

/* RFC 9110 §6.4.1, §8.6 */
static bool may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

void http_response_append(struct buffer *output, const struct http_response *response)
{
    int status = response->status;
    bool has_body = may_have_body(status);

    buffer_printf(output,
                  "HTTP/1.1 %d %s\r\n"
                  "Date: %s\r\n"
                  "Server: carillon\r\n"
                  "X-Content-Type-Options: nosniff\r\n",
                  status, http_reason(status), http_date());
    if (status >= 200)
        buffer_printf(output, "Connection: %s\r\n", response->keep_alive ? "keep-alive" : "close");
    if (has_body && response->content_type)
        buffer_printf(output, "Content-Type: %s\r\n", response->content_type);
    if (has_body && !response->is_stream)
        buffer_printf(output, "Content-Length: %zu\r\n", response->body_size);
    if (response->headers)
        buffer_append_text(output, response->headers);
    buffer_append_text(output, "\r\n");
    if (has_body && !response->is_head)
        buffer_append(output, response->body, response->body_size);
}

void http_response_insert(struct buffer *output, size_t start, const void *line, size_t size)
{
    buffer_reserve(output, size);

    unsigned char *status_line = output->data + start;
    unsigned char *at = memchr(status_line, '\n', output->size - start);

    if (!at)
        return;
    at++;
    memmove(at + size, at, output->size - (size_t)(at - output->data));
    memcpy(at, line, size);
    output->size += size;
}

void http_response_append_error(struct buffer *output, int status, const char *headers,
                                const char *message, bool is_head, bool keep_alive)
{
    struct buffer body = {0};

    buffer_printf(&body, "%s\n", message);
    http_response_append(output, &(struct http_response){
                                     .status = status,
                                     .content_type = "text/plain; charset=utf-8",
                                     .headers = headers,
                                     .body = body.data,
                                     .body_size = body.size,
                                     .is_head = is_head,
                                     .keep_alive = keep_alive,
                                 });
    buffer_deinit(&body);
}
