#include "gateway/json_walk.h"

#include <stdint.h>

#include "common/little_endian.h"

#define REPLACEMENT 0xfffd /* U+FFFD */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool opens(char byte)
{
    return byte == '{' || byte == '[';
}

static bool closes(char byte)
{
    return byte == '}' || byte == ']';
}

static struct text skip(struct text json, size_t size)
{
    return (struct text){json.data + size, json.size - size};
}

static struct text skip_blanks(struct text json)
{
    while (json.size > 0 && is_blank(*json.data))
        json = skip(json, 1);
    return json;
}

static bool is_special(unsigned char byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* The highest bit of each byte that is special; above the first of them there may be others, of
 * bytes that are not, as what is taken away from one byte is borrowed from the next. */
static uint64_t specials(uint64_t bytes)
{
    uint64_t quotes = bytes ^ EACH_BYTE('"');
    uint64_t backslashes = bytes ^ EACH_BYTE('\\');

    return (((bytes - EACH_BYTE(0x20)) & ~bytes) | ((quotes - EACH_BYTE(1)) & ~quotes) |
            ((backslashes - EACH_BYTE(1)) & ~backslashes)) &
           EACH_BYTE(0x80);
}

size_t json_plain_size(const char *text, size_t size)
{
    size_t done = 0;

    for (; size - done >= sizeof(uint64_t); done += sizeof(uint64_t)) {
        uint64_t found = specials(little_endian_load64((const unsigned char *)text + done));

        if (found)
            return done + (size_t)__builtin_ctzll(found) / 8;
    }
    while (done < size && !is_special((unsigned char)text[done]))
        done++;
    return done;
}

/* How many bytes the string takes that the text begins with. */
static size_t string_size(struct text json)
{
    size_t i = 1;

    while (i < json.size) {
        i += json_plain_size(json.data + i, json.size - i);
        if (i < json.size && json.data[i] == '"')
            return i + 1;
        i += i < json.size && json.data[i] == '\\' ? 2 : 1;
    }
    return json.size;
}

/* Of an array or an object. */
static size_t nest_size(struct text json)
{
    size_t depth = 0;
    size_t i = 0;

    while (i < json.size) {
        char byte = json.data[i];

        i += byte == '"' ? string_size(skip(json, i)) : 1;
        if (opens(byte))
            depth++;
        else if (closes(byte) && --depth == 0)
            break;
    }
    return i;
}

static size_t value_size(struct text json)
{
    size_t size = 0;

    if (json.size == 0)
        return 0;
    if (*json.data == '"')
        return string_size(json);
    if (opens(*json.data))
        return nest_size(json);
    while (size < json.size && json.data[size] != ',' && !closes(json.data[size]) &&
           !is_blank(json.data[size]))
        size++;
    return size;
}

bool json_members_init(struct json_members *members, struct text value)
{
    if (value.size == 0 || *value.data != '{')
        return false;
    members->rest = skip(value, 1);
    return true;
}

bool json_members_next(struct json_members *members, struct text *name, struct text *value)
{
    struct text rest = skip_blanks(members->rest);

    if (rest.size > 0 && *rest.data == ',')
        rest = skip_blanks(skip(rest, 1));
    if (rest.size == 0 || *rest.data != '"')
        return false;
    *name = (struct text){rest.data, string_size(rest)};
    rest = skip_blanks(skip(rest, name->size));
    if (rest.size == 0 || *rest.data != ':')
        return false;
    rest = skip_blanks(skip(rest, 1));
    *value = (struct text){rest.data, value_size(rest)};
    members->rest = skip(rest, value->size);
    return true;
}

bool json_items_init(struct json_items *items, struct text value)
{
    if (value.size == 0 || *value.data != '[')
        return false;
    items->rest = skip(value, 1);
    return true;
}

bool json_items_next(struct json_items *items, struct text *value)
{
    struct text rest = skip_blanks(items->rest);

    if (rest.size > 0 && *rest.data == ',')
        rest = skip_blanks(skip(rest, 1));
    if (rest.size == 0 || *rest.data == ']')
        return false;
    *value = (struct text){rest.data, value_size(rest)};
    items->rest = skip(rest, value->size);
    return true;
}

bool json_value_is_string(struct text value)
{
    return value.size >= 2 && *value.data == '"';
}

/* The number that four hexadecimal digits are. */
static uint32_t read_unit(const char *digits)
{
    uint32_t unit = 0;

    for (int i = 0; i < 4; i++) {
        unsigned char digit = (unsigned char)digits[i];

        unit = unit << 4 | (digit <= '9' ? digit & 0xfu : (digit & 0xfu) + 9);
    }
    return unit & 0xffff;
}

static char *write_character(char *at, uint32_t code)
{
    if (code < 0x80) {
        *at++ = (char)code;
        return at;
    }
    if (code < 0x800) {
        *at++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *at++ = (char)(0xe0 | code >> 12);
        } else {
            *at++ = (char)(0xf0 | code >> 18);
            *at++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *at++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *at++ = (char)(0x80 | (code & 0x3f));
    return at;
}

static bool is_low_surrogate(const char *escape)
{
    return escape[0] == '\\' && escape[1] == 'u' && (read_unit(escape + 2) & 0xfc00) == 0xdc00;
}

/* Writes the character that "\uXXXX" (or two of them, RFC 8259 §7) stands for, U+FFFD for half of a
 * pair; `*size` is how many bytes there are, and becomes how many it took. */
static char *write_unicode(char *at, const char *escape, size_t *size)
{
    if (*size < 6)
        return at;

    uint32_t code = read_unit(escape + 2);

    if ((code & 0xfc00) == 0xd800 && *size >= 12 && is_low_surrogate(escape + 6)) {
        *size = 12;
        code = 0x10000 + ((code & 0x3ff) << 10 | (read_unit(escape + 8) & 0x3ff));
    } else {
        *size = 6;
        if ((code & 0xf800) == 0xd800)
            code = REPLACEMENT;
    }
    return write_character(at, code);
}

static char short_escape(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

size_t json_unescape(struct text string, char *target)
{
    char *at = target;
    size_t end = string.size - 1;

    for (size_t i = 1; i < end;) {
        size_t size = end - i;

        if (string.data[i] != '\\' || size < 2) {
            *at++ = string.data[i++];
        } else if (string.data[i + 1] != 'u') {
            *at++ = short_escape(string.data[i + 1]);
            i += 2;
        } else {
            at = write_unicode(at, string.data + i, &size);
            i += size;
        }
    }
    return (size_t)(at - target);
}

struct text json_trim(struct text json)
{
    json = skip_blanks(json);
    while (json.size > 0 && is_blank(json.data[json.size - 1]))
        json.size--;
    return json;
}
