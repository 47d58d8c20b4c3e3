/* A run of bytes that belongs to somebody else: a piece of what was received, of a message, of an
 * arena. Not terminated by a zero. `data` may be NULL where `size` is 0. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *data;
    size_t size;
};

static inline struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

/* Copies a text to where `at` points, which then points behind it; an empty one is there, too. */
static inline struct text text_copy(char **at, struct text text)
{
    struct text copy = {*at, text.size};

    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return copy;
}

static inline bool text_equals(struct text one, struct text other)
{
    return one.size == other.size && (one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
}

static inline bool text_is(struct text text, const char *string)
{
    return text_equals(text, text_of(string));
}

#endif
