/*
 * permessage-deflate, by the first byte: what a handshake offers (`o`, a header a line), what a
 * client sends as a compressed message (`i`, then the limit in two bytes), and what clients are
 * sent (`w` in the wide window, `n` in the narrow one).
 *
 * What is agreed on is agreed on again when it is offered. A payload inflates to what a plain loop
 * over zlib makes of it, byte by byte, or to nothing, and never beyond the limit. What was
 * compressed is smaller and inflates to what it was, with no larger a window than was agreed on.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>
#include <zlib.h>

#include "common/memory.h"
#include "gateway/deflate_offer.h"

#define HEADERS 4

static const unsigned char tail[4] = {0x00, 0x00, 0xff, 0xff};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static int negotiate(char *const *values, size_t count, enum deflate_window *window,
                     char answer[DEFLATE_ANSWER_LIMIT])
{
    struct http_header headers[HEADERS + 1];

    for (size_t i = 0; i < count; i++)
        headers[i] = (struct http_header){"sec-websocket-extensions", values[i]};
    return deflate_negotiate(&(struct http_request){.header_count = count, .headers = headers},
                             window, answer);
}

static void check_offers(const uint8_t *data, size_t size)
{
    static char last[] = "permessage-deflate";
    char *text = memory_copy_text((const char *)data, size);
    char *values[HEADERS + 1] = {text};
    size_t count = 1;
    enum deflate_window window;
    enum deflate_window again;
    char answer[DEFLATE_ANSWER_LIMIT];
    char answer_again[DEFLATE_ANSWER_LIMIT];
    char *answers[] = {answer};

    for (char *at = strchr(text, '\n'); at && count < HEADERS; at = strchr(at, '\n')) {
        *at++ = '\0';
        values[count++] = at;
    }

    int error = negotiate(values, count, &window, answer);

    require(error == 0 || error == UV_EINVAL);
    require(error || (window == DEFLATE_OFF) == (answer[0] == '\0'));
    if (!error && window != DEFLATE_OFF) {
        require(negotiate(answers, 1, &again, answer_again) == 0);
        require(again == window && strcmp(answer, answer_again) == 0);
    }
    values[count] = last;
    require(negotiate(values, count + 1, &again, answer_again) == error);
    require(error || (window == DEFLATE_OFF ? again == DEFLATE_WIDE : again == window));
    memory_free(text);
}

/* Inflates byte by byte, up to more than `limit`; false where that cannot be. */
static bool inflate_bytes(z_stream *stream, const unsigned char *data, size_t size, size_t limit,
                          struct buffer *output)
{
    for (size_t i = 0; i < size; i++) {
        stream->next_in = (unsigned char *)data + i;
        stream->avail_in = 1;
        do {
            unsigned char made[7] = {0};
            int result;

            stream->next_out = made;
            stream->avail_out = sizeof(made);
            result = inflate(stream, Z_NO_FLUSH);
            buffer_append(output, made, sizeof(made) - stream->avail_out);
            if (output->size > limit)
                return true;
            if (result == Z_STREAM_END)
                inflateReset(stream);
            else if (result != Z_OK && result != Z_BUF_ERROR)
                return false;
        } while (stream->avail_in > 0 || stream->avail_out == 0);
    }
    return true;
}

static void check_inflating(const uint8_t *data, size_t size)
{
    struct inflater inflater = {0};
    struct buffer expected = {0};
    z_stream stream = {0};
    unsigned char *message;
    size_t message_size;
    size_t limit;

    if (size < 2)
        return;
    limit = (size_t)data[0] << 8 | data[1];
    data += 2;
    size -= 2;

    int error = inflater_inflate(&inflater, data, size, limit, &message, &message_size);

    require(inflateInit2(&stream, -15) == Z_OK);

    bool is_good = inflate_bytes(&stream, data, size, limit, &expected);

    if (is_good && expected.size <= limit && stream.total_in > 0)
        is_good = inflate_bytes(&stream, tail, sizeof(tail), limit, &expected);
    require(error == 0 || error == UV_E2BIG || error == UV_EINVAL);
    require((error == UV_E2BIG) == (expected.size > limit));
    require(is_good || error);
    if (!error) {
        require(message_size == expected.size && message_size <= limit);
        require(message_size == 0 || memcmp(message, expected.data, message_size) == 0);
    }
    inflateEnd(&stream);
    buffer_deinit(&expected);
    inflater_deinit(&inflater);
}

static void check_round_trip(enum deflate_window window, const uint8_t *data, size_t size)
{
    struct deflater deflater = {0};
    struct inflater inflater = {0};
    struct buffer narrow = {0};
    z_stream stream = {0};
    struct text payload;
    unsigned char *message;
    size_t message_size;

    deflater_compress(&deflater, window, "of another message", 18); /* leaves no trace */
    payload = deflater_compress(&deflater, window, data, size);
    if (payload.data) {
        const unsigned char *bytes = (const unsigned char *)payload.data;

        require(payload.size < size);
        require(inflater_inflate(&inflater, bytes, payload.size, size, &message, &message_size) ==
                0);
        require(message_size == size && memcmp(message, data, size) == 0);
        require(inflater_inflate(&inflater, bytes, payload.size, size - 1, &message,
                                 &message_size) == UV_E2BIG);
        require(inflateInit2(&stream, window == DEFLATE_NARROW ? -9 : -15) == Z_OK);
        require(inflate_bytes(&stream, bytes, payload.size, size, &narrow));
        require(narrow.size == size && memcmp(narrow.data, data, size) == 0);
        inflateEnd(&stream);
    }
    buffer_deinit(&narrow);
    inflater_deinit(&inflater);
    deflater_deinit(&deflater);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0]) {
    case 'o':
        check_offers(data + 1, size - 1);
        break;
    case 'i':
        check_inflating(data + 1, size - 1);
        break;
    case 'w':
        check_round_trip(DEFLATE_WIDE, data + 1, size - 1);
        break;
    case 'n':
        check_round_trip(DEFLATE_NARROW, data + 1, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
