#include "common/http_syntax.h"

#include <string.h>

bool http_is_token_character(unsigned char character)
{
    return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
           (character >= 'a' && character <= 'z') ||
           (character != 0 && strchr("!#$%&'*+-.^_`|~", character));
}

bool http_is_token(const unsigned char *text, size_t size)
{
    for (size_t at = 0; at < size; at++)
        if (!http_is_token_character(text[at]))
            return false;
    return size > 0;
}

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

/* What stands for itself in a line, as most bytes do. */
static bool is_plain(unsigned char character)
{
    return character >= 0x20 && character != 0x7f;
}

bool http_has_strict_lines(const unsigned char *text, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        if (is_plain(text[at]))
            continue;

        unsigned char next = at + 1 < size ? text[at + 1] : 0;

        switch (text[at]) {
        case '\r':
            if (next != '\n')
                return false;
            break;
        case '\n':
            if (at == 0 || text[at - 1] != '\r' || is_blank((char)next))
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
