/*
 * Origins come from a Redis that others can write to. What is read of one is what protobuf-c reads,
 * what protobuf-c writes is read, and what we write of it is read as the same again.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/buffer.h"
#include "gateway/client_message.h"
#include "proto/bus.pb-c.h"
#include "tests/fuzz/protobuf_check.h"

/* A string of ours is any bytes, protobuf-c's ends at a zero. */
static void compare_string(struct text ours, const char *theirs)
{
    size_t size = strlen(theirs);

    assert(ours.size == size || (ours.size > size && ours.data[size] == '\0'));
    assert(size == 0 || memcmp(ours.data, theirs, size) == 0);
}

static void compare_bytes(struct text ours, const ProtobufCBinaryData *theirs)
{
    assert(text_equals(ours, (struct text){(const char *)theirs->data, theirs->len}));
}

static void compare(const struct client_origin *ours, const Carillon__Bus__Origin *theirs)
{
    compare_string(ours->info.user, theirs->user);
    compare_string(ours->info.client, theirs->client);
    compare_bytes(ours->info.conn_info, &theirs->conn_info);
    compare_bytes(ours->info.chan_info, &theirs->chan_info);
    assert(ours->tag_count == theirs->n_tags);
    for (size_t i = 0; i < theirs->n_tags; i++) {
        compare_string(ours->tags[i].name, theirs->tags[i]->name);
        compare_string(ours->tags[i].value, theirs->tags[i]->value);
    }
}

static bool is_empty(const struct client_origin *origin)
{
    return origin->info.user.size + origin->info.client.size + origin->info.conn_info.size +
               origin->info.chan_info.size + origin->tag_count ==
           0;
}

static void compare_with_protobuf(const struct client_origin *ours, const uint8_t *data,
                                  size_t size)
{
    Carillon__Bus__Origin *theirs = carillon__bus__origin__unpack(NULL, size, data);

    assert(theirs || is_empty(ours));
    if (theirs && (!is_empty(ours) || is_canonical(data, size, &theirs->base)))
        compare(ours, theirs);
    if (theirs)
        carillon__bus__origin__free_unpacked(theirs, NULL);
}

static void assert_same_info(const struct client_info *one, const struct client_info *other)
{
    assert(text_equals(one->user, other->user));
    assert(text_equals(one->client, other->client));
    assert(text_equals(one->conn_info, other->conn_info));
    assert(text_equals(one->chan_info, other->chan_info));
}

static void write_and_read_again(const struct client_origin *origin, struct arena *arena)
{
    struct buffer bytes = {0};
    struct client_origin again;

    client_origin_write(&bytes, &origin->info, origin->tags, origin->tag_count);
    client_origin_read(&again, (struct text){(const char *)bytes.data, bytes.size}, arena);
    assert_same_info(&origin->info, &again.info);
    assert(again.tag_count == origin->tag_count);
    for (size_t i = 0; i < again.tag_count; i++) {
        assert(text_equals(origin->tags[i].name, again.tags[i].name));
        assert(text_equals(origin->tags[i].value, again.tags[i].value));
    }
    buffer_deinit(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_origin origin;
    struct arena arena;

    arena_init(&arena, ARENA_UNLIMITED);
    client_origin_read(&origin, (struct text){(const char *)data, size}, &arena);
    compare_with_protobuf(&origin, data, size);
    write_and_read_again(&origin, &arena);
    arena_deinit(&arena);
    return 0;
}
