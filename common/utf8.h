/*
 * UTF-8 checked while it arrives (RFC 3629 §4, Unicode table 3-7): no overlong forms, no
 * surrogates, nothing above U+10FFFF. The state between two pieces is one byte, so a text may be
 * cut anywhere.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_START  0 /* state before the first byte and after each whole character */
#define UTF8_REJECT 1 /* state after a byte that cannot be part of UTF-8; final */

/* The state after `size` more bytes. Runs of ASCII go a word at a time. */
uint8_t utf8_continue(uint8_t state, const unsigned char *data, size_t size);

/* True if the bytes are UTF-8 as a whole. */
bool utf8_is_valid(const unsigned char *data, size_t size);

#endif
