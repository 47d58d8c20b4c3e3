/*
 * A buffer is a growing run of bytes with one owner: text under construction, the tail of something
 * that has not arrived whole. Zero-initialised it is empty and owns nothing. Not thread-safe.
 */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
    unsigned char *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
};

/* Frees the bytes; the buffer is empty and usable again. */
void buffer_deinit(struct buffer *buffer);

/* Empties the buffer for its next use; of its memory at most `kept` bytes stay. */
void buffer_clear(struct buffer *buffer, size_t kept);

/* What buffer_reserve does where there is no room yet. */
unsigned char *buffer_grow(struct buffer *buffer, size_t more);

/* Makes room for `more` further bytes and returns where they go; `size` does not change. */
static inline unsigned char *buffer_reserve(struct buffer *buffer, size_t more)
{
    if (!buffer->data || buffer->capacity - buffer->size < more)
        return buffer_grow(buffer, more);
    return buffer->data + buffer->size;
}

static inline void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(buffer_reserve(buffer, size), data, size);
    buffer->size += size;
}

static inline void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

/* Appends the number in decimal digits. */
void buffer_append_number(struct buffer *buffer, uint64_t number);

/* Appends what printf would print. */
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Removes the first `size` bytes. */
void buffer_consume(struct buffer *buffer, size_t size);

#endif
