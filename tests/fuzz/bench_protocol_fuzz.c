/*
 * What a server says to the load generator: the first byte picks the protocol, the second whether
 * the rest is a compressed message. An element lies inside of what was read, of which no more than
 * is there was used; a stream that was cut says nothing else than the same in one piece.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/memory.h"
#include "tests/bench/decompressor.h"
#include "tests/bench/protocol.h"

#define LIMIT 65536

static const struct protocol *const protocols[] = {&protocol_plain,    &protocol_json,
                                                   &protocol_protobuf, &protocol_mqtt,
                                                   &protocol_nats,     &protocol_socketio};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_element(const struct element *element, const unsigned char *data, ssize_t used)
{
    if (element->kind != ELEMENT_MESSAGE)
        return;
    require(element->data >= data && element->data + element->size <= data + used);
}

/* A stream's first element, cut short: it is not there, or it is bad already. */
static void check_cut(const struct protocol *protocol, const unsigned char *data, ssize_t used)
{
    struct element element;

    for (size_t size = 1; protocol->is_stream && size < (size_t)used && size < 64; size++)
        require(protocol->read(data, size, &element) == 0);
}

static void read_all(const struct protocol *protocol, const uint8_t *input, size_t size)
{
    unsigned char *at = memory_allocate(size > 0 ? size : 1); /* so that a read beyond it is seen */
    struct element element;
    size_t begin = 0;

    for (size_t i = 0; i < size; i++)
        at[i] = input[i];
    while (begin < size) {
        ssize_t used = protocol->read(at + begin, size - begin, &element);

        require(used <= (ssize_t)(size - begin) && (used != 0 || protocol->is_stream));
        if (used <= 0)
            break;
        check_element(&element, at + begin, used);
        check_cut(protocol, at + begin, used);
        begin += (size_t)used;
    }
    memory_free(at);
}

static void inflate_twice(const uint8_t *data, size_t size)
{
    struct decompressor *decompressor = decompressor_create(LIMIT);
    const unsigned char *inflated;
    size_t first_size, second_size;
    int first = decompressor_inflate(decompressor, data, size, &inflated, &first_size);
    int second = decompressor_inflate(decompressor, data, size, &inflated, &second_size);

    require(first == second);
    if (first == 0)
        require(first_size == second_size && first_size <= LIMIT);
    decompressor_destroy(decompressor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[1] & 1)
        inflate_twice(data + 2, size - 2);
    else
        read_all(protocols[data[0] % (sizeof(protocols) / sizeof(protocols[0]))], data + 2,
                 size - 2);
    return 0;
}
