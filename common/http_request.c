#include "common/http_request.h"

#include <string.h>
#include <strings.h>

#include <uv.h>

#include "common/http_syntax.h"
#include "common/percent.h"

const char *http_request_header(const struct http_request *request, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < request->header_count; i++) {
        if (!http_header_is(&request->headers[i], name))
            continue;
        if (value)
            return NULL;
        value = request->headers[i].value;
    }
    return value;
}

size_t http_request_header_count(const struct http_request *request, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < request->header_count; i++)
        if (http_header_is(&request->headers[i], name))
            count++;
    return count;
}

bool http_request_names_host(const struct http_request *request)
{
    size_t count = http_request_header_count(request, "host");

    return count == 1 || (count == 0 && request->minor_version == 0);
}

bool http_request_is_head(const struct http_request *request)
{
    return strcmp(request->method, "HEAD") == 0;
}

bool http_list_has_token(const char *list, const char *token)
{
    size_t token_size = strlen(token);

    for (;;) {
        while (http_is_blank(*list) || *list == ',')
            list++;
        if (*list == '\0')
            return false;

        size_t item_size = strcspn(list, ",");
        size_t size = item_size;

        while (http_is_blank(list[size - 1]))
            size--;
        if (size == token_size && strncasecmp(list, token, size) == 0)
            return true;
        list += item_size;
    }
}

bool http_request_header_has_token(const struct http_request *request, const char *name,
                                   const char *token)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (http_header_is(&request->headers[i], name) &&
            http_list_has_token(request->headers[i].value, token))
            return true;
    return false;
}

/* Where the value of the first `name=` begins, or NULL. */
static const char *find_query_value(const char *query, const char *name)
{
    size_t name_size = strlen(name);

    for (;;) {
        if (strncmp(query, name, name_size) == 0 && query[name_size] == '=')
            return query + name_size + 1;
        query += strcspn(query, "&");
        if (*query == '\0')
            return NULL;
        query++;
    }
}

int http_query_value(const char *query, const char *name, char *value, size_t limit)
{
    const char *text = find_query_value(query, name);
    size_t size = 0;

    if (!text)
        return UV_ENOENT;
    while (*text && *text != '&') {
        int byte = *text == '+' ? (text++, ' ') : percent_decode(&text);

        if (byte <= 0)
            return UV_EINVAL;
        if (size == limit)
            return UV_E2BIG;
        value[size++] = (char)byte;
    }
    value[size] = '\0';
    return (int)size;
}
