/* JSON text: strings, and what is JSON at all. */
#include <openssl/evp.h>

#include "common/utf8.h"
#include "gateway/client_protocol.h"
#include "gateway/json_check.h"
#include "gateway/json_walk.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

bool client_is_json(struct text text)
{
    return json_is_valid(text);
}

bool client_read_json_string(struct text json, struct buffer *out)
{
    json = json_trim(json);
    if (!json_value_is_string(json) || !client_is_json(json))
        return false;
    out->size += json_unescape(json, (char *)buffer_reserve(out, json.size));
    return true;
}

/* How many bytes the character takes that the text begins with; 0: it is none. */
static size_t character_size(const unsigned char *text, size_t size)
{
    uint8_t state = UTF8_START;

    for (size_t i = 0; i < size; i++) {
        state = utf8_continue(state, text + i, 1);
        if (state == UTF8_START)
            return i + 1;
        if (state == UTF8_REJECT)
            break;
    }
    return 0;
}

static bool is_special(unsigned char byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

static void escape(struct buffer *out, unsigned char byte)
{
    static const unsigned char letters[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    unsigned char letter = byte < 0x20 ? letters[byte] : byte;

    if (letter)
        buffer_append(out, (unsigned char[]){'\\', letter}, 2);
    else
        buffer_printf(out, "\\u%04x", byte);
}

/* What follows is UTF-8 as it stands, up to the next byte that cannot stay. */
static size_t plain_size(const unsigned char *text, size_t size, bool is_utf8)
{
    size_t done = 0;

    if (is_utf8)
        return json_plain_size((const char *)text, size);
    while (done < size && !is_special(text[done])) {
        size_t character = character_size(text + done, size - done);

        if (character == 0)
            break;
        done += character;
    }
    return done;
}

void client_write_json_string(struct buffer *out, struct text text)
{
    const unsigned char *at = (const unsigned char *)text.data;
    bool is_utf8 = text.size == 0 || utf8_is_valid(at, text.size);
    size_t done = 0;

    buffer_append_text(out, "\"");
    while (done < text.size) {
        size_t plain = plain_size(at + done, text.size - done, is_utf8);

        buffer_append(out, at + done, plain);
        done += plain;
        if (done == text.size)
            break;
        if (is_special(at[done]))
            escape(out, at[done]);
        else
            buffer_append_text(out, REPLACEMENT);
        done++;
    }
    buffer_append_text(out, "\"");
}

/* A newline would end the message that the text is in, for some SDKs a carriage return, too. In
 * JSON they can only be between tokens. */
static bool ends_line(char byte)
{
    return byte == '\n' || byte == '\r';
}

static void write_line(struct buffer *out, struct text json)
{
    size_t from = 0;

    if (json.size > 0 && !memchr(json.data, '\n', json.size) &&
        !memchr(json.data, '\r', json.size)) {
        buffer_append(out, json.data, json.size);
        return;
    }
    for (size_t i = 0; i < json.size; i++) {
        if (!ends_line(json.data[i]))
            continue;
        buffer_append(out, json.data + from, i - from);
        from = i + 1;
    }
    if (from < json.size)
        buffer_append(out, json.data + from, json.size - from);
}

static void write_base64(struct buffer *out, struct text bytes)
{
    unsigned char *target = buffer_reserve(out, (bytes.size + 2) / 3 * 4 + 3);

    *target++ = '"';
    if (bytes.size > 0)
        target += EVP_EncodeBlock(target, (const unsigned char *)bytes.data, (int)bytes.size);
    *target++ = '"';
    out->size = (size_t)(target - out->data);
}

void client_write_json_data(struct buffer *out, enum client_data kind, struct text data)
{
    switch (kind) {
    case CLIENT_DATA_JSON:
        write_line(out, data);
        break;
    case CLIENT_DATA_TEXT:
        client_write_json_string(out, data);
        break;
    case CLIENT_DATA_BYTES:
        write_base64(out, data);
        break;
    }
}
