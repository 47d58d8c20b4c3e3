#include "common/http_syntax.h"

#include "common/little_endian.h"

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

bool http_is_token(const unsigned char *text, size_t size)
{
    for (size_t at = 0; at < size; at++)
        if (!http_is_token_character(text[at]))
            return false;
    return size > 0;
}

/* What stands for itself in a line, as most bytes do. */
static bool is_plain(unsigned char character)
{
    return character >= 0x20 && character != 0x7f;
}

/* The high bit of each byte that is not plain. Above the lowest of them, a borrow may set others.
 */
static uint64_t special_bytes(uint64_t word)
{
    uint64_t deletes = word ^ EACH_BYTE(0x7f);

    return (((word - EACH_BYTE(0x20)) & ~word) | ((deletes - EACH_BYTE(1)) & ~deletes)) &
           EACH_BYTE(0x80);
}

size_t http_skip_plain(const unsigned char *text, size_t size, size_t at)
{
    for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t special = special_bytes(little_endian_load64(text + at));

        if (special)
            return at + (unsigned)__builtin_ctzll(special) / 8;
    }
    while (at < size && is_plain(text[at]))
        at++;
    return at;
}

bool http_has_strict_lines(const unsigned char *text, size_t size)
{
    for (size_t at = http_skip_plain(text, size, 0); at < size;
         at = http_skip_plain(text, size, at + 1)) {
        unsigned char next = at + 1 < size ? text[at + 1] : 0;

        switch (text[at]) {
        case '\r':
            if (next != '\n')
                return false;
            break;
        case '\n':
            if (at == 0 || text[at - 1] != '\r' || http_is_blank(next))
                return false;
            break;
        case '\t':
            break;
        default:
            return false;
        }
    }
    return true;
}
