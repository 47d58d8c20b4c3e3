#include "common/http_body.h"

#include <string.h>

/* Of a chunk's size: more than any limit, and too few to overflow. */
#define DIGIT_LIMIT 8

#define EXTRA_LIMIT_BYTES 8192

/* Where more memory is kept for the next body. */
#define KEPT_BYTES 4096

static void reset(struct http_body *body, enum http_body_stage stage)
{
    struct buffer data = body->data;

    buffer_clear(&data, KEPT_BYTES);
    *body = (struct http_body){.stage = stage, .data = data};
}

void http_body_begin(struct http_body *body, size_t size)
{
    reset(body, size > 0 ? HTTP_BODY_DATA : HTTP_BODY_WHOLE);
    body->left = size;
    body->limit_bytes = size;
}

void http_body_begin_chunks(struct http_body *body, size_t limit_bytes)
{
    reset(body, HTTP_BODY_SIZE);
    body->is_chunked = true;
    body->limit_bytes = limit_bytes;
}

void http_body_deinit(struct http_body *body)
{
    buffer_deinit(&body->data);
}

static int digit_of(unsigned char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

static bool is_text(unsigned char byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static int go_on_if(struct http_body *body, bool is_right, enum http_body_stage next)
{
    if (!is_right)
        return 400;
    body->stage = next;
    return 0;
}

static int read_size(struct http_body *body, unsigned char byte)
{
    int digit = digit_of(byte);

    if (digit < 0) {
        if (body->digits == 0 || (byte != ';' && byte != '\r'))
            return 400;
        body->stage = byte == ';' ? HTTP_BODY_EXTENSION : HTTP_BODY_SIZE_END;
        return 0;
    }
    if (body->digits++ == DIGIT_LIMIT)
        return 413;
    body->left = body->left * 16 + (size_t)digit;
    return body->left > body->limit_bytes - body->data.size ? 413 : 0;
}

static int read_extra(struct http_body *body, unsigned char byte, enum http_body_stage next)
{
    if (++body->extra_bytes > EXTRA_LIMIT_BYTES)
        return 431;
    if (byte == '\r') {
        body->stage = next;
        return 0;
    }
    return is_text(byte) ? 0 : 400;
}

static int read_size_end(struct http_body *body, unsigned char byte)
{
    enum http_body_stage next = body->left > 0 ? HTTP_BODY_DATA : HTTP_BODY_TRAILER;

    return go_on_if(body, byte == '\n', next);
}

static int read_trailer(struct http_body *body, unsigned char byte)
{
    if (byte == '\r') {
        body->stage = HTTP_BODY_LAST_END;
        return 0;
    }
    body->stage = HTTP_BODY_TRAILER_REST;
    return byte > ' ' ? read_extra(body, byte, HTTP_BODY_TRAILER_END) : 400;
}

/* The CRLF behind a chunk's data, of which `left` counts the bytes that were seen. */
static int read_data_end(struct http_body *body, unsigned char byte)
{
    if (byte != (body->left == 0 ? '\r' : '\n'))
        return 400;
    if (body->left++ == 0)
        return 0;
    body->left = 0;
    body->digits = 0;
    body->stage = HTTP_BODY_SIZE;
    return 0;
}

static int read_byte(struct http_body *body, unsigned char byte)
{
    switch (body->stage) {
    case HTTP_BODY_SIZE:
        return read_size(body, byte);
    case HTTP_BODY_EXTENSION:
        return read_extra(body, byte, HTTP_BODY_SIZE_END);
    case HTTP_BODY_SIZE_END:
        return read_size_end(body, byte);
    case HTTP_BODY_DATA_END:
        return read_data_end(body, byte);
    case HTTP_BODY_TRAILER:
        return read_trailer(body, byte);
    case HTTP_BODY_TRAILER_REST:
        return read_extra(body, byte, HTTP_BODY_TRAILER_END);
    case HTTP_BODY_TRAILER_END:
        return go_on_if(body, byte == '\n', HTTP_BODY_TRAILER);
    case HTTP_BODY_LAST_END:
        return go_on_if(body, byte == '\n', HTTP_BODY_WHOLE);
    case HTTP_BODY_DATA:
    case HTTP_BODY_WHOLE:
        break;
    }
    return 400;
}

static size_t read_data(struct http_body *body, const unsigned char *data, size_t size)
{
    size_t piece = size < body->left ? size : body->left;

    buffer_append(&body->data, data, piece);
    body->left -= piece;
    if (body->left == 0)
        body->stage = body->is_chunked ? HTTP_BODY_DATA_END : HTTP_BODY_WHOLE;
    return piece;
}

int http_body_read(struct http_body *body, const unsigned char *data, size_t size, size_t *used)
{
    int status = 0;

    *used = 0;
    while (status == 0 && *used < size && body->stage != HTTP_BODY_WHOLE) {
        if (body->stage == HTTP_BODY_DATA)
            *used += read_data(body, data + *used, size - *used);
        else
            status = read_byte(body, data[(*used)++]);
    }
    return status;
}
