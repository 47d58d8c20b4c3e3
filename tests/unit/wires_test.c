#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/wires.h"

#define SAID "a text that is said, and a text that is said again"

static struct worker_stats stats;
static struct wires wires;
static struct inflater inflater;

static int make_wires(void **state)
{
    (void)state;
    stats = (struct worker_stats){0};
    wires_init(&wires, &stats, 40);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    wires_deinit(&wires);
    inflater_deinit(&inflater);
    return 0;
}

/* The only frame of a block, which is small, has this first byte and says that. Frees the block. */
static void expect_frame(struct block *block, unsigned first, const char *said)
{
    unsigned char *message = block->data + 2;
    size_t size = block->data[1];

    assert_int_equal(block->data[0], first);
    assert_int_equal(block->size, 2 + size);
    if (first & WEBSOCKET_COMPRESSED) {
        assert_true(size < strlen(said));
        assert_int_equal(inflater_inflate(&inflater, block->data + 2, size, 100, &message, &size),
                         0);
    }
    assert_int_equal(size, strlen(said));
    assert_memory_equal(message, said, size);
    block_unref(block);
}

static struct block *append(enum deflate_window window, const char *said)
{
    return wires_append_frame(&wires, window, block_create(0), WEBSOCKET_BINARY, said,
                              strlen(said));
}

static void frame_is_compressed_where_that_is_agreed_on(void **state)
{
    (void)state;
    expect_frame(append(DEFLATE_OFF, SAID), 0x82, SAID);
    assert_int_equal(metric_read(&stats.deflate_before), 0);
    expect_frame(append(DEFLATE_WIDE, SAID), 0xc2, SAID);
    expect_frame(append(DEFLATE_NARROW, SAID), 0xc2, SAID);
    assert_int_equal(metric_read(&stats.deflate_before), 2 * strlen(SAID));
    assert_true(metric_read(&stats.deflate_after) < 2 * strlen(SAID));
    assert_true(metric_read(&stats.deflate_after) > 0);
}

static void small_frame_is_not_compressed(void **state)
{
    (void)state;
    static const char of_40[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    expect_frame(append(DEFLATE_WIDE, of_40), 0xc2, of_40);
    expect_frame(append(DEFLATE_WIDE, of_40 + 1), 0x82, of_40 + 1);
    wires.compress_min = 0; /* off, as a reload may have it */
    expect_frame(append(DEFLATE_WIDE, of_40), 0x82, of_40);
}

static void frame_that_gets_no_smaller_is_not_compressed(void **state)
{
    (void)state;
    static const char noise[] = "q7J-zX0fWm3bR8yK5vT2cL9nH4dP6gS1aU_eiojk";

    expect_frame(append(DEFLATE_WIDE, noise), 0x82, noise);
    assert_int_equal(metric_read(&stats.deflate_before), 0);
}

static void websockets_of_clients_are_compressed_and_streams_are_not(void **state)
{
    (void)state;
    for (int window = 0; window < DEFLATE_WINDOWS; window++) {
        unsigned bit = window == DEFLATE_OFF ? 0 : WEBSOCKET_COMPRESSED;
        enum transport json = transport_of_websocket(CLIENT_JSON, (enum deflate_window)window);
        enum transport protobuf =
            transport_of_websocket(CLIENT_PROTOBUF, (enum deflate_window)window);

        assert_int_equal(transport_format(json), CLIENT_JSON);
        assert_int_equal(transport_format(protobuf), CLIENT_PROTOBUF);
        expect_frame(transport_append(&wires, json, block_create(0), SAID, strlen(SAID)),
                     0x81 | bit, SAID);
        expect_frame(transport_append(&wires, protobuf, block_create(0), SAID, strlen(SAID)),
                     0x82 | bit, SAID);
    }
    for (int transport = TRANSPORT_STREAM_JSON; transport < TRANSPORT_COUNT; transport++) {
        struct block *block = transport_append(&wires, (enum transport)transport, block_create(0),
                                               SAID, strlen(SAID));

        assert_true(block->size >= strlen(SAID));
        assert_non_null(memmem(block->data, block->size, SAID, strlen(SAID)));
        block_unref(block);
    }
    assert_int_equal(transport_format(TRANSPORT_STREAM_JSON), CLIENT_JSON);
    assert_int_equal(transport_format(TRANSPORT_STREAM_PROTOBUF), CLIENT_PROTOBUF);
    assert_int_equal(transport_format(TRANSPORT_EVENTS), CLIENT_JSON);
}

static void wires_are_all_different(void **state)
{
    (void)state;
    bool is_used[UINT8_MAX + 1] = {[WIRE_NONE] = true};

    for (int window = 0; window < DEFLATE_WINDOWS; window++) {
        uint8_t wire = wire_of_plain((enum deflate_window)window);

        assert_false(is_used[wire]);
        is_used[wire] = true;
    }
    for (int transport = 0; transport < TRANSPORT_COUNT; transport++) {
        for (int i = 0; i < DELTA_STAGES * 2; i++) {
            uint8_t wire =
                wire_of_client((enum transport)transport, (enum delta_stage)(i / 2), i % 2);

            assert_false(is_used[wire]);
            is_used[wire] = true;
        }
    }
}

static void subscriber_with_differences_keeps_its_compression(void **state)
{
    (void)state;
    for (int transport = 0; transport < TRANSPORT_COUNT; transport++) {
        uint8_t first = wire_of_client((enum transport)transport, DELTA_FIRST, true);
        struct wire_traits traits = wires.sink.traits(first);

        assert_int_equal(traits.next, wire_of_client((enum transport)transport, DELTA_ON, true));
        assert_true(traits.takes_joins);
        assert_true(traits.needs_base);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_wires, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frame_is_compressed_where_that_is_agreed_on),
        TEST(small_frame_is_not_compressed),
        TEST(frame_that_gets_no_smaller_is_not_compressed),
        TEST(websockets_of_clients_are_compressed_and_streams_are_not),
        TEST(wires_are_all_different),
        TEST(subscriber_with_differences_keeps_its_compression),
    };

    return cmocka_run_group_tests_name("wires", tests, NULL, NULL);
}
