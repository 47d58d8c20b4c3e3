/*
 * The body of an HTTP/1.1 request out of bytes (RFC 9112 §6, §7.1), gathered up to a limit of the
 * owner's: of a length that the head says, or in chunks. Extensions of chunks and trailer fields
 * are read over, as strictly as the head: they mean nothing to us, but what comes behind them must
 * begin where every other reader says so.
 *
 * Part of http_request_reader.c; the pieces in which bytes come make no difference.
 */
#ifndef COMMON_HTTP_BODY_H
#define COMMON_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

enum http_body_stage {
    HTTP_BODY_DATA, /* of the length, or of the chunk */
    HTTP_BODY_DATA_END,
    HTTP_BODY_SIZE,      /* of the next chunk */
    HTTP_BODY_EXTENSION, /* up to the end of that line */
    HTTP_BODY_SIZE_END,
    HTTP_BODY_TRAILER, /* the first byte of a line */
    HTTP_BODY_TRAILER_REST,
    HTTP_BODY_TRAILER_END,
    HTTP_BODY_LAST_END, /* the LF of the empty line */
    HTTP_BODY_WHOLE,
};

struct http_body {
    enum http_body_stage stage;
    bool is_chunked;
    size_t limit_bytes;
    size_t left;        /* bytes of data that are still to come, or the chunk's size so far */
    unsigned digits;    /* of that size */
    size_t extra_bytes; /* of extensions and trailers, which are limited, too */
    struct buffer data;
};

/* A body of `size` bytes, which the limit has room for. */
void http_body_begin(struct http_body *body, size_t size);

/* One in chunks, which come to `limit_bytes` at most. */
void http_body_begin_chunks(struct http_body *body, size_t limit_bytes);

/* Takes bytes up to the end of the body and sets `*used`. Returns 0, or the status to refuse with
 * (400, 413, 431); the body is whole when its stage is HTTP_BODY_WHOLE. */
int http_body_read(struct http_body *body, const unsigned char *data, size_t size, size_t *used);

void http_body_deinit(struct http_body *body);

#endif
