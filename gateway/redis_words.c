#include "gateway/redis_words.h"

#include <string.h>

#include "common/decimal.h"

#define HEAD_BYTES (DECIMAL_DIGITS + 3) /* a type, a number and the end of the line */
#define END_BYTES  2                    /* of a word */

static char *write_head(char *at, char type, size_t number)
{
    *at++ = type;
    at += decimal_write(at, number);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

struct block *redis_words_append(struct block *output, size_t count, const char *const *words,
                                 const size_t *sizes)
{
    size_t most = HEAD_BYTES;
    char *start, *at;

    for (size_t i = 0; i < count; i++)
        most += HEAD_BYTES + sizes[i] + END_BYTES;
    output = block_reserve(output, most);
    start = (char *)output->data + output->size;
    at = write_head(start, '*', count);
    for (size_t i = 0; i < count; i++) {
        at = write_head(at, '$', sizes[i]);
        if (sizes[i] > 0)
            memcpy(at, words[i], sizes[i]);
        at += sizes[i];
        *at++ = '\r';
        *at++ = '\n';
    }
    output->size += (size_t)(at - start);
    return output;
}
