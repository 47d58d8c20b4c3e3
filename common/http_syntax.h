/* What the pieces of an HTTP head may be made of, where the parser asks less of them. */
#ifndef COMMON_HTTP_SYNTAX_H
#define COMMON_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 9110 §5.6.2: letters, and by a bit for each of the first 128 characters, what is mostly
 * something else: digits and !#$%&'*+-.^_`|~ */
static inline bool http_is_token_character(unsigned char character)
{
    uint64_t half = character < 64 ? UINT64_C(0x03ff6cfa00000000) : UINT64_C(0x57ffffffc7fffffe);

    if ((unsigned char)((character | 0x20) - 'a') < 26)
        return true;
    return character < 128 && (half >> (character % 64) & 1) != 0;
}

/* What may be in a request's target: a fragment stays with the client. */
static inline bool http_is_target_character(unsigned char character)
{
    return character > 0x20 && character < 0x7f && character != '#';
}

/* OWS, RFC 9110 §5.6.3 */
static inline bool http_is_blank(int character)
{
    return character == ' ' || character == '\t';
}

bool http_is_token(const unsigned char *text, size_t size);

/* Where from `at` on the next control character is; `size` if there is none. */
size_t http_skip_plain(const unsigned char *text, size_t size, size_t at);

/* Every line ends in CRLF, none begins with white space (RFC 9112 §2.2, §5.2), and there are no
 * other control characters than tabs. */
bool http_has_strict_lines(const unsigned char *text, size_t size);

#endif
