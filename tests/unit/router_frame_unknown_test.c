/* What next year's programs say is passed over, and what is no frame at all is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "tests/unit/router_frame_fixture.h"

static void kind_that_is_not_known_is_no_error(void **state)
{
    struct router_frame frame;

    (void)state;
    put_text(1, "whatever it says");
    assert_int_equal(answer_to(UNKNOWN), UV_ENOSYS);
    assert_int_equal(answer_to(9), UV_ENOSYS);
    assert_int_equal(answer_to(12), UV_ENOSYS);
    assert_int_equal(read_bytes("", 0, &frame), UV_ENOSYS);
}

static void fields_that_are_not_known_are_passed_over(void **state)
{
    struct router_frame frame;

    (void)state;
    put_number(UNKNOWN, 5);
    put_text(1, "room");
    put_text(UNKNOWN + 1, "more");
    put_text(2, "epoch");
    put_fixed(UNKNOWN + 2, 7);
    put_fixed(3, 12);
    assert_int_equal(read_put(FRAME_SUBSCRIBE, &frame), 0);
    assert_string_equal(frame.channel, "room");
    assert_string_equal(frame.subscribe.epoch, "epoch");
    assert_true(frame.subscribe.offset == 12);
    router_frame_release(&frame);
    put_text(1, "room"); /* one that is else read without protobuf-c */
    put_number(2, 5);
    put_text(3, "epoch");
    put_fixed(4, 12);
    put_text(UNKNOWN, "more");
    assert_int_equal(read_put(FRAME_ACK, &frame), 0);
    assert_string_equal(frame.channel, "room");
    assert_true(frame.ack.sequence == 5);
    assert_string_equal(frame.ack.epoch, "epoch");
    assert_true(frame.ack.offset == 12);
    router_frame_release(&frame);
}

static void value_that_is_not_known_is_taken_for_the_careful_one(void **state)
{
    struct router_frame frame;

    (void)state;
    put_text(1, "room");
    put_number(3, UNKNOWN);
    assert_int_equal(read_put(FRAME_REFUSED, &frame), 0);
    assert_int_equal(frame.refused.reason, REASON_BUSY);
    router_frame_release(&frame);
    put_text(1, "room");
    put_number(4, UNKNOWN);
    assert_int_equal(read_put(FRAME_SUBSCRIBED, &frame), 0);
    assert_int_equal(frame.subscribed.outcome, OUTCOME_LOST);
    router_frame_release(&frame);
    put_number(1, UNKNOWN);
    put_text(2, "a reason of next year's");
    assert_int_equal(answer_to(FRAME_ERROR), 0);
    put_text(1, "room");
    put_number(3, UNKNOWN);
    put_bytes(4, "", 0);
    assert_int_equal(answer_to(FRAME_HEAD), UV_EPROTO);
}

static void bytes_that_are_no_frame_are_refused(void **state)
{
    static const char *const texts[] = {"\x0a", "\x22\x05hell", "GET / HTTP/1.1\r\n\r\n",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                        "\x0a\xff\xff\xff\xff\x0f"};
    struct router_frame frame;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(read_bytes(texts[i], strlen(texts[i]), &frame), UV_EPROTO);
}

static void frame_cut_short_is_refused(void **state)
{
    struct router_producer producer = {1, 2, 3};
    struct buffer bytes = {0};
    struct router_frame frame;

    (void)state;
    router_frame_append(
        &bytes,
        &(struct router_frame){.kind = FRAME_GIVEN,
                               .channel = "room",
                               .channel_size = 4,
                               .given = {7, {"epoch", 1, "", 0, 9}, true, 3, {&producer, 1}, 0}});
    for (size_t size = 1; size < bytes.size; size++)
        assert_int_equal(read_bytes(bytes.data, size, &frame), UV_EPROTO);
    buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kind_that_is_not_known_is_no_error),
        cmocka_unit_test(fields_that_are_not_known_are_passed_over),
        cmocka_unit_test(value_that_is_not_known_is_taken_for_the_careful_one),
        cmocka_unit_test(bytes_that_are_no_frame_are_refused),
        cmocka_unit_test(frame_cut_short_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
