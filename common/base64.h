/* Base64 from outside, read without forgiveness: one text for each run of bytes, so that what was
 * signed or compared is what was meant. */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include <stddef.h>

enum base64_alphabet {
    BASE64_STANDARD, /* RFC 4648 §4: `+`, `/`, padded with `=` */
    BASE64_URL,      /* RFC 7515 §2: `-`, `_`, never padded */
};

/* Room for what so many characters say. */
#define BASE64_DECODED_LIMIT(size) (((size) / 4 + 1) * 3)

/*
 * Writes what the text says to `out`, which has room for BASE64_DECODED_LIMIT(size) bytes, and sets
 * `out_size`. 0, or UV_EINVAL for a character of no alphabet (white space too), padding that is
 * missing or too much, or a last character with bits that say nothing (RFC 4648 §3.5).
 */
int base64_decode(enum base64_alphabet alphabet, const char *text, size_t size, unsigned char *out,
                  size_t *out_size);

#endif
