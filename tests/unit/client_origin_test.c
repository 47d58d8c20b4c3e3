/* Who published a message and what was said of it: as proto/bus.proto has it, and as protobuf-c
 * reads and writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buffer.h"
#include "gateway/client_message.h"
#include "proto/bus.pb-c.h"

static const struct client_info ann = {
    .user = {"ann", 3},
    .client = {"0123456789", 10},
    .conn_info = {"{\"a\":1}", 7},
    .chan_info = {"\"\xff", 2},
};
static const struct client_tag tags[] = {{{"kind", 4}, {"loud", 4}}, {{"", 0}, {"", 0}}};

static struct text text_in(const struct buffer *buffer)
{
    return (struct text){(const char *)buffer->data, buffer->size};
}

static void assert_same(struct text one, struct text other)
{
    assert_true(text_equals(one, other));
}

static void what_is_written_is_read(void **state)
{
    struct client_origin origin;
    struct buffer bytes = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena, ARENA_UNLIMITED);
    client_origin_write(&bytes, &ann, tags, 2);
    client_origin_read(&origin, text_in(&bytes), &arena);
    assert_true(origin.has_info);
    assert_same(origin.info.user, ann.user);
    assert_same(origin.info.client, ann.client);
    assert_same(origin.info.conn_info, ann.conn_info);
    assert_same(origin.info.chan_info, ann.chan_info);
    assert_int_equal(origin.tag_count, 2);
    assert_same(origin.tags[0].name, tags[0].name);
    assert_same(origin.tags[0].value, tags[0].value);
    assert_int_equal(origin.tags[1].name.size + origin.tags[1].value.size, 0);
    buffer_deinit(&bytes);
    arena_deinit(&arena);
}

static void what_is_written_is_what_protobuf_c_reads_and_writes(void **state)
{
    struct buffer bytes = {0};
    uint8_t again[200];

    (void)state;
    client_origin_write(&bytes, &ann, tags, 2);

    Carillon__Bus__Origin *origin = carillon__bus__origin__unpack(NULL, bytes.size, bytes.data);

    assert_non_null(origin);
    assert_string_equal(origin->user, "ann");
    assert_string_equal(origin->client, "0123456789");
    assert_int_equal(origin->chan_info.len, 2);
    assert_int_equal(origin->n_tags, 2);
    assert_string_equal(origin->tags[0]->value, "loud");
    assert_true(carillon__bus__origin__get_packed_size(origin) <= sizeof(again));
    assert_int_equal(carillon__bus__origin__pack(origin, again), bytes.size);
    assert_memory_equal(again, bytes.data, bytes.size);
    carillon__bus__origin__free_unpacked(origin, NULL);
    buffer_deinit(&bytes);
}

static void nothing_is_written_of_nothing(void **state)
{
    struct buffer bytes = {0};

    (void)state;
    client_origin_write(&bytes, NULL, NULL, 0);
    assert_int_equal(bytes.size, 0);
    buffer_deinit(&bytes);
}

static void check_read(const char *bytes, size_t size, bool has_info, size_t tag_count)
{
    struct client_origin origin;
    struct arena arena;

    arena_init(&arena, ARENA_UNLIMITED);
    client_origin_read(&origin, (struct text){bytes, size}, &arena);
    assert_int_equal(origin.has_info, has_info);
    assert_int_equal(origin.tag_count, tag_count);
    arena_deinit(&arena);
}

static void fields_of_later_versions_are_passed_over(void **state)
{
    (void)state;
    check_read("\x0a\x01"
               "a\x32\x01x\x38\x05",
               8, true, 0);
    check_read("\x2a\x06\x0a\x01k\x1a\x01v", 8, false, 1);
}

static void what_is_no_origin_counts_as_none(void **state)
{
    (void)state;
    check_read(NULL, 0, false, 0);
    check_read("\x0a\x02"
               "a",
               3, false, 0);
    check_read("\x0a\x01"
               "a\x12",
               4, false, 0);
    check_read("\x0a\x01"
               "a\x10\x01",
               5, false, 0); /* a client that is a number */
    check_read("\x0a\x01"
               "a\x28\x01",
               5, false, 0); /* so is a tag, */
    check_read("\x0a\x01"
               "a\x2a\x02\x08\x01",
               7, false, 0); /* and its name */
    check_read("\x0a\x01"
               "a\x2a\x02\x0a\x05",
               7, false, 0);
    check_read("\x0a\x01"
               "a\x00\x00",
               5, false, 0);
}

static void who_has_neither_user_nor_client_is_nobody(void **state)
{
    (void)state;
    check_read("\x1a\x01x", 3, false, 0);
    check_read("\x12\x01x", 3, true, 0);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_written_is_what_protobuf_c_reads_and_writes),
        cmocka_unit_test(nothing_is_written_of_nothing),
        cmocka_unit_test(fields_of_later_versions_are_passed_over),
        cmocka_unit_test(what_is_no_origin_counts_as_none),
        cmocka_unit_test(who_has_neither_user_nor_client_is_nobody),
    };

    return cmocka_run_group_tests(all, NULL, NULL);
}
