#include "common/base64.h"

#include <stdint.h>
#include <uv.h>

static int value_of(enum base64_alphabet alphabet, char character)
{
    if (character >= 'A' && character <= 'Z')
        return character - 'A';
    if (character >= 'a' && character <= 'z')
        return character - 'a' + 26;
    if (character >= '0' && character <= '9')
        return character - '0' + 52;
    if (character == (alphabet == BASE64_URL ? '-' : '+'))
        return 62;
    if (character == (alphabet == BASE64_URL ? '_' : '/'))
        return 63;
    return -1;
}

int base64_decode(enum base64_alphabet alphabet, const char *text, size_t size, unsigned char *out,
                  size_t *out_size)
{
    uint32_t bits = 0;
    unsigned count = 0; /* of bits that are not written yet */

    *out_size = 0;
    if (alphabet == BASE64_STANDARD) {
        if (size % 4 != 0)
            return UV_EINVAL;
        for (int i = 0; i < 2 && size > 0 && text[size - 1] == '='; i++)
            size--;
    }
    if (size % 4 == 1) /* six bits are no byte */
        return UV_EINVAL;
    for (size_t i = 0; i < size; i++) {
        int value = value_of(alphabet, text[i]);

        if (value < 0)
            return UV_EINVAL;
        bits = (bits << 6 | (uint32_t)value) & 0xfff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[(*out_size)++] = (unsigned char)(bits >> count);
        }
    }
    return (bits & ((1U << count) - 1)) == 0 ? 0 : UV_EINVAL;
}
