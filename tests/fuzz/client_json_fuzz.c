/*
 * Commands of clients as JSON: they come from whoever connects. What is JSON is also asked of
 * jansson, which makes trees and so is not what the gateway asks.
 */
#include <jansson.h>

#include "gateway/json_check.h"
#include "tests/fuzz/client_request_check.h"

/* Where the two may differ: the depth that they bear, zero bytes, which jansson overlooks behind a
 * number, and numbers beyond what a double holds. */
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

static void compare(const uint8_t *data, size_t size)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)data, size,
                              JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);

    if (json || json_error_code(&error) != json_error_numeric_overflow)
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
