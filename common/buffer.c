#include "common/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/decimal.h"
#include "common/memory.h"

void buffer_deinit(struct buffer *buffer)
{
    memory_free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer, size_t kept)
{
    if (buffer->capacity > kept)
        buffer_deinit(buffer);
    buffer->size = 0;
}

unsigned char *buffer_grow(struct buffer *buffer, size_t more)
{
    size_t capacity = buffer->capacity ? buffer->capacity * 2 : 64;

    if (capacity < buffer->size + more)
        capacity = buffer->size + more;
    buffer->data = memory_resize(buffer->data, capacity);
    buffer->capacity = capacity;
    return buffer->data + buffer->size;
}

void buffer_append_number(struct buffer *buffer, uint64_t number)
{
    char *digits = (char *)buffer_reserve(buffer, DECIMAL_DIGITS);

    buffer->size += decimal_write(digits, number);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(size >= 0);

    unsigned char *target = buffer_reserve(buffer, (size_t)size + 1);

    va_start(arguments, format);
    vsnprintf((char *)target, (size_t)size + 1, format, arguments);
    va_end(arguments);
    buffer->size += (size_t)size;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    buffer->size -= size;
    if (buffer->size > 0)
        memmove(buffer->data, buffer->data + size, buffer->size);
}
