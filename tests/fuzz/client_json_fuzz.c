/*
 * Commands of clients as JSON: they come from whoever connects. What is JSON is also asked of
 * jansson, which makes trees and so is not what the gateway asks.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/json_check.h"
#include "tests/fuzz/client_request_check.h"

/* Where the two may differ: the depth that they bear, zero bytes, which jansson overlooks behind a
 * number; and halves of surrogate pairs, see below. */
static bool is_comparable(const uint8_t *data, size_t size)
{
    size_t brackets = 0;

    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\0')
            return false;
        brackets += data[i] == '[' || data[i] == '{';
    }
    return brackets <= JSON_DEPTH_LIMIT;
}

/* The low ten bits aside: 0xd800 of the first half of a surrogate pair, 0xdc00 of the second. */
static unsigned half_at(const char *escape, size_t size)
{
    char digits[5] = {0};

    if (size < 6 || escape[0] != '\\' || escape[1] != 'u')
        return 0;
    memcpy(digits, escape + 2, 4);
    if (strspn(digits, "0123456789abcdefABCDEF") < 4)
        return 0;

    unsigned half = (unsigned)strtoul(digits, NULL, 16) & 0xfc00;

    return half == 0xd800 || half == 0xdc00 ? half : 0;
}

/* Halves of pairs, which jansson does not bear, become something that it does. */
static void mend_halves(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned half = half_at(text + i, size - i);

        if (half == 0xd800 && i + 6 < size && half_at(text + i + 6, size - i - 6) == 0xdc00)
            i += 11;
        else if (half)
            memset(text + i + 2, 'a', 4); /* U+AAAA */
        else if (text[i] == '\\')
            i++;
    }
}

/* JSON has no such limits: numbers beyond what a double holds, and "\u0000" in the name of a
 * member. */
static bool is_limit_of_jansson(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);

    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key;
}

static void compare(const uint8_t *data, size_t size)
{
    char *mended = malloc(size + 1);
    json_error_t error;
    json_t *json;

    memcpy(mended, data, size);
    mend_halves(mended, size);
    json = json_loadb(mended, size, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL,
                      &error);
    free(mended);

    if (json || !is_limit_of_jansson(&error))
        assert(json_is_valid((struct text){(const char *)data, size}) == (json != NULL));
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (is_comparable(data, size))
        compare(data, size);
    check_frame(CLIENT_JSON, data, size);
    return 0;
}
