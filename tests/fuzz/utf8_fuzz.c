/*
 * UTF-8: a text that is cut anywhere must get the verdict that it gets whole, at the byte at which
 * a decoder written from the definition (RFC 3629 section 3) first sees that it cannot be UTF-8.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/utf8.h"

/* The length of the character at `data`, 0 when it is none. */
static size_t character(const uint8_t *data, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = data[0] < 0x80           ? 1
                    : (data[0] >> 5) == 0x06 ? 2
                    : (data[0] >> 4) == 0x0e ? 3
                    : (data[0] >> 3) == 0x1e ? 4
                                             : 0;
    uint32_t code = length == 1 ? data[0] : data[0] & (0x7fu >> length);

    if (length == 0 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (data[i] & 0x3f);
    }
    return code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? length
                                                                                         : 0;
}

static bool reference(const uint8_t *data, size_t size)
{
    size_t length;

    for (; size > 0; data += length, size -= length) {
        length = character(data, size);
        if (length == 0)
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;

    size_t step = data[0] % 16u + 1;

    data++;
    size--;

    uint8_t whole = utf8_continue(UTF8_START, data, size);
    uint8_t pieces = UTF8_START;
    uint8_t bytes = UTF8_START;

    for (size_t at = 0; at < size; at += step)
        pieces = utf8_continue(pieces, data + at, size - at < step ? size - at : step);
    for (size_t at = 0; at < size; at++) {
        bytes = utf8_continue(bytes, data + at, 1);
        /* Not rejected means that some bytes could still make it whole: its characters so far are.
         */
        if (bytes == UTF8_START)
            assert(reference(data, at + 1));
    }
    assert(pieces == whole);
    assert(bytes == whole);
    assert((whole == UTF8_START) == reference(data, size));
    assert(utf8_is_valid(data, size) == reference(data, size));
    return 0;
}
