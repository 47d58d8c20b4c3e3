/*
 * The scan looks for the end first: with CRLF CRLF there, whatever walks over text that has no
 * control characters stops in time, and needs not ask for the end at each byte. It says nothing of
 * what it does not understand. So whoever falls back on a parser has one set of rules, and this
 * here only answers sooner where those are kept.
 */
#include "common/http_head.h"

#include <string.h>
#include <strings.h>

#include "common/http_syntax.h"
#include "common/memory.h"

void http_head_clear(struct http_head *head)
{
    head->target = (struct http_span){0};
    head->field_count = 0;
}

void http_head_deinit(struct http_head *head)
{
    memory_free(head->fields);
    *head = (struct http_head){0};
}

struct http_field *http_head_add_field(struct http_head *head)
{
    if (head->field_count >= HTTP_HEADER_COUNT_LIMIT) {
        head->field_count = HTTP_HEADER_COUNT_LIMIT + 1;
        return NULL;
    }
    if (head->field_count == head->field_capacity) {
        head->field_capacity = head->field_capacity ? head->field_capacity * 2 : 16;
        head->fields = memory_resize(head->fields, head->field_capacity * sizeof(*head->fields));
    }

    struct http_field *field = &head->fields[head->field_count++];

    *field = (struct http_field){0};
    return field;
}

struct http_field *http_head_last_field(struct http_head *head)
{
    if (head->field_count == 0 || head->field_count > HTTP_HEADER_COUNT_LIMIT)
        return NULL;
    return &head->fields[head->field_count - 1];
}

/* Returns where the next line begins, or 0. */
static size_t scan_request_line(struct http_head *head, const unsigned char *text, size_t size)
{
    static const char method[] = "GET ";
    static const char protocol[] = " HTTP/1.1\r\n";
    size_t protocol_size = sizeof(protocol) - 1;
    size_t start = sizeof(method) - 1;
    size_t end = start;

    if (memcmp(text, method, start) != 0 || text[start] != '/')
        return 0;
    while (http_is_target_character(text[end]))
        end++;
    if (size - end < protocol_size)
        return 0;
    head->target = (struct http_span){start, end};
    head->minor_version = text[end + 8] - '0';
    if (memcmp(text + end, protocol, 8) != 0 || (text[end + 8] & ~1) != '0' ||
        memcmp(text + end + 9, "\r\n", 2) != 0)
        return 0;
    return end + protocol_size;
}

static bool is_named(const unsigned char *name, size_t size, const char *wanted)
{
    return size == strlen(wanted) && ((name[0] ^ wanted[0]) & ~0x20) == 0 &&
           strncasecmp((const char *)name, wanted, size) == 0;
}

/* What a header says of a body is for a parser to judge. */
static bool is_about_a_body(const unsigned char *name, size_t size)
{
    return is_named(name, size, "Content-Length") || is_named(name, size, "Transfer-Encoding");
}

/* Returns where the next line begins, or 0. */
static size_t scan_field(struct http_head *head, const unsigned char *text, size_t size,
                         size_t start)
{
    size_t colon = start;
    size_t value;
    size_t end;

    while (http_is_token_character(text[colon]))
        colon++;
    if (colon == start || text[colon] != ':' || is_about_a_body(text + start, colon - start))
        return 0;
    for (value = colon + 1; http_is_blank(text[value]); value++)
        ;
    for (end = http_skip_plain(text, size, value); text[end] == '\t';)
        end = http_skip_plain(text, size, end + 1);
    if (text[end] != '\r' || text[end + 1] != '\n')
        return 0;

    struct http_field *field = http_head_add_field(head);

    if (field) {
        field->name = (struct http_span){start, colon};
        if (end > value)
            field->value = (struct http_span){value, end};
    }
    return end + 2;
}

bool http_head_scan(struct http_head *head, const unsigned char *text, size_t size)
{
    static const char end[] = "\r\n\r\n";
    size_t end_size = sizeof(end) - 1;
    size_t at;

    if (size <= end_size || memcmp(text + size - end_size, end, end_size) != 0)
        return false;
    at = scan_request_line(head, text, size);
    while (at > 0 && text[at] != '\r')
        at = scan_field(head, text, size, at);
    return at > 0 && at == size - 2;
}
