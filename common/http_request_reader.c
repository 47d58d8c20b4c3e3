/*
 * http-parser walks over the bytes as they come, so that nonsense ends at its first bad byte and
 * not at a deadline. The raw head is kept in one buffer; the parser's callbacks only note where its
 * parts lie, and once it is whole, zero bytes are written over the separators behind each part. A
 * head of the usual kind that comes in one piece is not parsed but scanned (http_head.h), in a
 * third of the instructions.
 *
 * Distributions build http-parser without its strict mode (a space in a header name, a CR with
 * anything behind it, "HTTQ/1.1"), and even the strict one takes a bare LF and folded lines. What
 * two parsers in a row may read differently is how requests are smuggled, so the whole head is
 * checked against RFC 9112 here before any of it is believed.
 *
 * Each verdict depends on the bytes alone, never on the pieces they came in: what is checked while
 * bytes arrive is checked byte by byte, all else when the head is whole.
 */
#include "common/http_request.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <uv.h>

/* http-parser has an HTTP_REQUEST too: a kind of parser. */
#define HTTP_REQUEST HTTP_PARSER_REQUEST
#include <http_parser.h>
#undef HTTP_REQUEST

#include "common/buffer.h"
#include "common/http_body.h"
#include "common/http_notes.h"
#include "common/http_syntax.h"
#include "common/memory.h"
#include "common/percent.h"

enum reader_state { READER_READING, READER_IN_BODY, READER_WHOLE, READER_FAILED };

struct http_request_reader {
    enum reader_state state;
    int status; /* of a reader that failed */
    size_t limit_bytes;
    struct http_parser parser;
    struct buffer head;     /* request line, headers, empty line: as sent, until the head is whole;
                               then there is the path behind them */
    struct http_head parts; /* of it */
    struct http_header *headers;
    struct http_request request;
    struct http_notes notes;
    struct http_body body;
    size_t (*body_limit)(void *context, const struct http_request *request); /* NULL: no body */
    void *context;
    bool wants_continue;
};

/* Callbacks of http-parser: a part may come in several calls, but they are adjacent. */

static void span_add(struct http_span *span, const struct http_request_reader *reader,
                     const char *at, size_t size)
{
    size_t start = (size_t)(at - (const char *)reader->head.data);

    if (span->end == 0)
        span->start = start;
    span->end = start + size;
}

static int on_target(struct http_parser *parser, const char *at, size_t size)
{
    struct http_request_reader *reader = parser->data;

    span_add(&reader->parts.target, reader, at, size);
    return 0;
}

static int on_field(struct http_parser *parser, const char *at, size_t size)
{
    struct http_request_reader *reader = parser->data;
    struct http_field *field = http_head_last_field(&reader->parts);

    if (!field || at != (const char *)reader->head.data + field->name.end)
        field = http_head_add_field(&reader->parts);
    if (field)
        span_add(&field->name, reader, at, size);
    return 0;
}

static int on_value(struct http_parser *parser, const char *at, size_t size)
{
    struct http_request_reader *reader = parser->data;
    struct http_field *field = http_head_last_field(&reader->parts);

    if (field && size > 0) /* an empty value is told of when the next line has begun */
        span_add(&field->value, reader, at, size);
    return 0;
}

/* The parser stops before the last LF of the head, and never sees a body. */
static int on_head_complete(struct http_parser *parser)
{
    http_parser_pause(parser, 1);
    return 0;
}

static const struct http_parser_settings callbacks = {
    .on_url = on_target,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head_complete,
};

/* RFC 9112 §2.2 lets a client send empty lines before its request. */
static size_t request_line_start(const struct buffer *head)
{
    size_t start = 0;

    while (start < head->size && (head->data[start] == '\r' || head->data[start] == '\n'))
        start++;
    return start;
}

/* One space on either side of a target of printable ASCII, and the name of the protocol as it is
 * (RFC 9112 §3); method and version have passed the parser. */
static bool has_strict_request_line(const struct http_request_reader *reader, size_t start)
{
    static const char protocol[] = " HTTP/";
    static const size_t version_size = 3;
    const struct buffer *head = &reader->head;
    size_t method_size = strlen(http_method_str(reader->parser.method));
    size_t line_end = reader->parts.target.end + sizeof(protocol) - 1 + version_size;

    if (reader->parts.target.start != start + method_size + 1 || line_end >= head->size ||
        memcmp(head->data + reader->parts.target.end, protocol, sizeof(protocol) - 1) != 0 ||
        head->data[line_end] != '\r')
        return false;
    for (size_t at = reader->parts.target.start; at < reader->parts.target.end; at++)
        if (!http_is_target_character(head->data[at]))
            return false;
    return true;
}

static const char *terminate(struct buffer *head, const struct http_span *span)
{
    if (span->end == 0) /* an empty value */
        return "";
    head->data[span->end] = '\0';
    return (const char *)head->data + span->start;
}

static int take_headers(struct http_request_reader *reader, bool is_scanned)
{
    struct buffer *head = &reader->head;

    if (reader->parts.field_count > HTTP_HEADER_COUNT_LIMIT)
        return 431;
    reader->headers =
        memory_resize(reader->headers, (reader->parts.field_count + 1) * sizeof(*reader->headers));
    for (size_t i = 0; i < reader->parts.field_count; i++) {
        struct http_field *field = &reader->parts.fields[i];

        if (!is_scanned &&
            !http_is_token(head->data + field->name.start, field->name.end - field->name.start))
            return 400;
        while (field->value.end > field->value.start &&
               http_is_blank(head->data[field->value.end - 1]))
            field->value.end--;
        reader->headers[i] =
            (struct http_header){terminate(head, &field->name), terminate(head, &field->value)};
        http_notes_add(&reader->notes, &reader->headers[i], reader->request.minor_version);
    }
    reader->request.headers = reader->headers;
    reader->request.header_count = reader->parts.field_count;
    return 0;
}

/* Where the path of an origin-form or absolute-form target begins (RFC 9112 §3.2); NULL for the
 * other forms, which are for proxies and for the server as a whole. */
static const char *path_of_target(const char *target)
{
    if (*target == '/')
        return target;

    const char *authority = strstr(target, "://");

    if (!authority)
        return NULL;
    authority += strlen("://");

    size_t authority_size = strcspn(authority, "/?");

    return authority_size > 0 ? authority + authority_size : NULL;
}

static int take_target(struct http_request_reader *reader)
{
    const char *target = terminate(&reader->head, &reader->parts.target);
    const char *text = path_of_target(target);
    char *path = (char *)reader->head.data + reader->head.size;
    size_t size = 0;

    if (!text)
        return 400;
    if (*text != '/') /* http://host, http://host?query */
        path[size++] = '/';
    while (*text && *text != '?') {
        int byte = percent_decode(&text);

        if (byte < 0x20 || byte == 0x7f)
            return 400;
        path[size++] = (char)byte;
    }
    path[size] = '\0';
    reader->request.target = target;
    reader->request.path = path;
    reader->request.query = *text ? text + 1 : text;
    return 0;
}

/* Two sayings about the length of a body are an attempt to smuggle (RFC 9112 §6.1, §6.3). Returns 0
 * or the status to refuse with; `*has_body` where there may be one. */
static int check_body(const struct http_request_reader *reader, bool *has_body)
{
    const struct http_notes *notes = &reader->notes;

    if (notes->lengths > 1 || (notes->lengths > 0 && notes->encodings > 0))
        return 400;
    *has_body = notes->encodings > 0 || (notes->lengths > 0 && reader->parser.content_length > 0);
    return 0;
}

/* Prepares for the body, if the owner wants it. */
static int begin_body(struct http_request_reader *reader)
{
    const struct http_request *request = &reader->request;
    size_t limit = reader->body_limit ? reader->body_limit(reader->context, request) : 0;
    const char *encoding = http_request_header(request, "Transfer-Encoding");

    if (limit == 0)
        return 413;
    if (reader->notes.encodings > 0) {
        if (request->minor_version == 0)
            return 400;
        if (!encoding || strcasecmp(encoding, "chunked") != 0)
            return 501;
        http_body_begin_chunks(&reader->body, limit);
    } else {
        if (reader->parser.content_length > limit)
            return 413;
        http_body_begin(&reader->body, (size_t)reader->parser.content_length);
    }
    reader->wants_continue = request->minor_version > 0 &&
                             http_request_header_has_token(request, "Expect", "100-continue");
    reader->state = READER_IN_BODY;
    return 0;
}

/* Whether what the parser let pass keeps the rules. Returns 0 or the status to refuse with. */
static int check_parsed(const struct http_request_reader *reader)
{
    const struct http_parser *parser = &reader->parser;
    size_t start = request_line_start(&reader->head);

    if (!http_has_strict_lines(reader->head.data + start, reader->head.size - start))
        return 400;
    /* HTTP/0.9 has no version in its request line. */
    if (parser->http_major == 0 && parser->http_minor == 9)
        return 505;
    if (!has_strict_request_line(reader, start))
        return 400;
    if (parser->http_major != 1 || parser->http_minor > 1)
        return 505;
    return parser->method == HTTP_CONNECT ? 400 : 0;
}

/* Makes the request of a head that is whole, and keeps the rules, but for the names of its headers
 * unless it was scanned. Returns 0 or the status to refuse with. */
static int take_head(struct http_request_reader *reader, bool is_scanned)
{
    struct http_request *request = &reader->request;
    bool has_body = false;
    int status;

    /* For the path, with a slash before it and a zero behind, before anything points there. */
    buffer_reserve(&reader->head, reader->parts.target.end - reader->parts.target.start + 2);
    if ((status = take_headers(reader, is_scanned)) != 0 || (status = take_target(reader)) != 0 ||
        (status = check_body(reader, &has_body)) != 0)
        return status;

    request->keep_alive =
        !reader->notes.says_close && (request->minor_version > 0 || reader->notes.says_keep_alive);
    request->is_upgrade = reader->notes.says_upgrade && reader->notes.has_upgrade;
    reader->state = READER_WHOLE;
    return has_body ? begin_body(reader) : 0;
}

static int take_parsed(struct http_request_reader *reader)
{
    int status = check_parsed(reader);

    reader->request.method = http_method_str(reader->parser.method);
    reader->request.minor_version = reader->parser.http_minor;
    return status ? status : take_head(reader, false);
}

static int take_scanned(struct http_request_reader *reader)
{
    reader->request.method = "GET";
    reader->request.minor_version = reader->parts.minor_version;
    return take_head(reader, true);
}

static void begin_request(struct http_request_reader *reader)
{
    reader->state = READER_READING;
    reader->head.size = 0;
    http_head_clear(&reader->parts);
    reader->request = (struct http_request){0};
    reader->notes = (struct http_notes){0};
    reader->wants_continue = false;
    http_parser_init(&reader->parser, HTTP_PARSER_REQUEST);
    reader->parser.data = reader;
}

/* The library's own limit is one for the whole process and at 80 KiB; ours is per reader. */
static void lift_library_limit(void)
{
    http_parser_set_max_header_size(UINT32_MAX);
}

struct http_request_reader *http_request_reader_create(size_t limit_bytes)
{
    static uv_once_t once = UV_ONCE_INIT;
    struct http_request_reader *reader = memory_zeroed(1, sizeof(*reader));

    uv_once(&once, lift_library_limit);
    reader->limit_bytes = limit_bytes;
    begin_request(reader);
    return reader;
}

void http_request_reader_allow_bodies(struct http_request_reader *reader,
                                      size_t (*limit)(void *context,
                                                      const struct http_request *request),
                                      void *context)
{
    reader->body_limit = limit;
    reader->context = context;
}

void http_request_reader_destroy(struct http_request_reader *reader)
{
    if (!reader)
        return;
    http_body_deinit(&reader->body);
    buffer_deinit(&reader->head);
    http_head_deinit(&reader->parts);
    memory_free(reader->headers);
    memory_free(reader);
}

/* A method is a token that we may not know (501); what cannot be one is no HTTP at all. */
static int status_of_parse_error(const struct http_parser *parser, unsigned char culprit)
{
    if (HTTP_PARSER_ERRNO(parser) == HPE_INVALID_METHOD && http_is_token_character(culprit))
        return 501;
    return 400;
}

static int status_of_long_head(const struct buffer *head)
{
    size_t start = request_line_start(head);

    return head->size > start && memchr(head->data + start, '\n', head->size - start) ? 431 : 414;
}

/* Reads `size` bytes that the limit has room for. Returns how many belong to this request; sets
 * `status`, and the state when the request is whole. */
static size_t read_piece(struct http_request_reader *reader, const unsigned char *data, size_t size,
                         int *status)
{
    struct buffer *head = &reader->head;
    bool is_first = head->size == 0;

    *status = 0;
    if (size == 0) /* to the parser, the end of the stream */
        return 0;
    buffer_reserve(head, 2 * size); /* the path comes behind it */
    buffer_append(head, data, size);
    if (is_first && http_head_scan(&reader->parts, head->data, size)) {
        *status = take_scanned(reader);
        return size;
    }
    if (is_first)
        http_head_clear(&reader->parts); /* of what the scan has noted */

    const char *piece = (const char *)head->data + head->size - size;
    size_t used = http_parser_execute(&reader->parser, &callbacks, piece, size);

    switch (HTTP_PARSER_ERRNO(&reader->parser)) {
    case HPE_OK:
        return size;
    case HPE_PAUSED:
        used++; /* the last LF, see on_head_complete */
        head->size -= size - used;
        *status = take_parsed(reader);
        return used;
    default:
        *status = status_of_parse_error(&reader->parser, (unsigned char)piece[used]);
        return size;
    }
}

/* Reads the head. HTTP_REQUEST means that it is whole, and there may be a body behind it. */
static enum http_read read_head(struct http_request_reader *reader, const unsigned char *data,
                                size_t size, size_t *consumed)
{
    size_t room = reader->limit_bytes - reader->head.size;
    size_t piece_size = size < room ? size : room;

    *consumed = read_piece(reader, data, piece_size, &reader->status);
    if (reader->status == 0 && reader->state != READER_READING)
        return HTTP_REQUEST;
    if (reader->status == 0 && piece_size < size)
        reader->status = status_of_long_head(&reader->head);
    if (reader->status == 0)
        return HTTP_MORE;
    reader->state = READER_FAILED;
    return HTTP_ERROR;
}

static enum http_read read_body(struct http_request_reader *reader, const unsigned char *data,
                                size_t size, size_t *consumed)
{
    size_t used;

    reader->status = http_body_read(&reader->body, data, size, &used);
    *consumed += used;
    if (reader->status) {
        reader->state = READER_FAILED;
        return HTTP_ERROR;
    }
    if (reader->body.stage != HTTP_BODY_WHOLE)
        return HTTP_MORE;
    reader->state = READER_WHOLE;
    reader->request.body =
        (struct text){(const char *)reader->body.data.data, reader->body.data.size};
    return HTTP_REQUEST;
}

enum http_read http_request_read(struct http_request_reader *reader, const unsigned char *data,
                                 size_t size, size_t *consumed, const struct http_request **request,
                                 int *status)
{
    enum http_read outcome = HTTP_ERROR;

    *consumed = 0;
    if (reader->state == READER_WHOLE)
        begin_request(reader);
    if (reader->state == READER_READING)
        outcome = read_head(reader, data, size, consumed);
    if (reader->state == READER_IN_BODY)
        outcome = read_body(reader, data + *consumed, size - *consumed, consumed);
    if (outcome == HTTP_REQUEST)
        *request = &reader->request;
    else if (outcome == HTTP_ERROR)
        *status = reader->status;
    return outcome;
}

bool http_request_reader_wants_continue(struct http_request_reader *reader)
{
    bool wants = reader->state == READER_IN_BODY && reader->wants_continue &&
                 reader->body.data.size == 0 && reader->body.digits == 0;

    reader->wants_continue = false;
    return wants;
}

bool http_request_reader_is_idle(const struct http_request_reader *reader)
{
    return reader->state == READER_WHOLE ||
           (reader->state == READER_READING && reader->head.size == 0);
}
