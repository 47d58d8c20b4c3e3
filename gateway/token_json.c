#include "gateway/token_json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

/* jansson parses by recursion and would go 2048 levels down. */
static bool is_shallow(const char *text, size_t size)
{
    size_t depth = 0;
    bool is_string = false;

    for (size_t i = 0; i < size; i++) {
        char character = text[i];

        if (is_string && character == '\\')
            i++;
        else if (character == '"')
            is_string = !is_string;
        else if (!is_string && (character == '{' || character == '['))
            depth++;
        else if (!is_string && (character == '}' || character == ']') && depth > 0)
            depth--;
        if (depth > TOKEN_JSON_DEPTH)
            return false;
    }
    return true;
}

json_t *token_json_parse(const char *text, size_t size)
{
    if (!is_shallow(text, size))
        return NULL;

    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(value)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

static bool says_the_same(const char *text, const json_t *value)
{
    json_t *read = json_loads(text, JSON_DECODE_ANY, NULL);
    bool is_same = json_equal(read, value);

    json_decref(read);
    return is_same;
}

char *token_json_print(const json_t *value, size_t *size)
{
    char *text = NULL;

    /* 0.1 with 17 digits is 0.10000000000000001, which is right and not what was sent. */
    for (size_t digits = 15; digits <= 17; digits++) {
        free(text); /* jansson's own */
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        if (!text || says_the_same(text, value))
            break;
    }
    if (!text)
        abort(); /* memory, which never fails here */
    *size = strlen(text);

    char *copy = memory_copy_text(text, *size);

    free(text);
    return copy;
}
