/* Deltas, applied by a reader of its own: what the format says, and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "gateway/fossil.h"

#define LARGEST 100000

static uint64_t state_of_random = 88172645463325252ULL;

static uint64_t random_below(uint64_t limit)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random % limit;
}

/* The applier. */

static uint64_t read_number(struct text *delta)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    uint64_t number = 0;

    while (delta->size > 0) {
        const char *digit = *delta->data ? strchr(digits, *delta->data) : NULL;

        if (!digit)
            break;
        number = number * 64 + (uint64_t)(digit - digits);
        delta->data++;
        delta->size--;
    }
    return number;
}

static char read_letter(struct text *delta)
{
    assert_true(delta->size > 0);
    delta->size--;
    return *delta->data++;
}

/* Big-endian words, added up; zeros stand behind the last one. */
static uint32_t checksum(const struct buffer *bytes)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < bytes->size; i++)
        sum += (uint32_t)bytes->data[i] << (24 - 8 * (i % 4));
    return sum;
}

static void apply(struct buffer *out, struct text source, struct text delta)
{
    uint64_t size = read_number(&delta);

    assert_int_equal(read_letter(&delta), '\n');
    for (;;) {
        uint64_t number = read_number(&delta);
        char letter = read_letter(&delta);

        if (letter == ';') {
            assert_int_equal(number, checksum(out));
            break;
        }
        if (letter == '@') {
            uint64_t at = read_number(&delta);

            assert_int_equal(read_letter(&delta), ',');
            assert_true(at <= source.size && number <= source.size - at);
            buffer_append(out, source.data + at, number);
        } else {
            assert_int_equal(letter, ':');
            assert_true(number <= delta.size);
            buffer_append(out, delta.data, number);
            delta.data += number;
            delta.size -= number;
        }
    }
    assert_int_equal(delta.size, 0);
    assert_int_equal(out->size, size);
}

/* The size of the delta, which has been seen to make the target. */
static size_t check(struct text source, struct text target)
{
    struct buffer delta = {0};
    struct buffer made = {0};
    size_t size;

    buffer_append(&delta, "x", 1); /* it appends */
    fossil_write_delta(&delta, source, target);
    apply(&made, source, (struct text){(const char *)delta.data + 1, delta.size - 1});
    if (target.size > 0)
        assert_memory_equal(made.data, target.data, target.size);
    size = delta.size - 1;
    buffer_deinit(&made);
    buffer_deinit(&delta);
    return size;
}

static struct text text_of_buffer(const struct buffer *buffer)
{
    return (struct text){(const char *)buffer->data, buffer->size};
}

/* `letters` different ones: few make many false matches. */
static void append_random(struct buffer *out, size_t size, unsigned letters)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char letter = (unsigned char)random_below(letters);

        buffer_append(out, &letter, 1);
    }
}

static void copy_part(struct buffer *out, const struct buffer *source)
{
    size_t from = source->size > 0 ? random_below(source->size) : 0;
    size_t size = source->size > 0 ? random_below(source->size - from) : 0;

    buffer_append(out, source->data + from, size);
}

static void small_texts_of_all_kinds(void **state)
{
    static const char *const texts[] = {
        "",
        "a",
        "abc",
        "0123456789abcdef",
        "0123456789abcdefg",
        "0123456789abcdef0123456789abcdef",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
            check(text_of(texts[i]), text_of(texts[k]));
    }
}

static void sizes_at_every_boundary(void **state)
{
    struct buffer source = {0};

    (void)state;
    append_random(&source, 70, 256);
    for (size_t from = 0; from <= source.size; from++) {
        for (size_t to = from; to <= source.size; to++)
            check(text_of_buffer(&source),
                  (struct text){(const char *)source.data + from, to - from});
    }
    buffer_deinit(&source);
}

static void random_edits(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        static const unsigned letters[] = {1, 2, 3, 30, 256};
        struct buffer source = {0};
        struct buffer target = {0};
        size_t limit = round % 30 == 0 ? LARGEST : 2000;
        unsigned kinds = letters[round % 5];

        append_random(&source, random_below(limit), kinds);
        for (uint64_t pieces = random_below(8); pieces > 0; pieces--) {
            if (random_below(3) > 0)
                copy_part(&target, &source);
            else
                append_random(&target, random_below(200), kinds);
        }
        check(text_of_buffer(&source), text_of_buffer(&target));
        check(text_of_buffer(&target), text_of_buffer(&source));
        check(text_of_buffer(&source), text_of_buffer(&source));
        buffer_deinit(&source);
        buffer_deinit(&target);
    }
}

static void a_small_change_of_a_large_text_is_small(void **state)
{
    struct buffer source = {0};
    struct buffer target = {0};

    (void)state;
    append_random(&source, LARGEST, 256);
    buffer_append(&target, source.data, 50000);
    buffer_append(&target, "something new", 13);
    buffer_append(&target, source.data + 50020, source.size - 50020);
    assert_true(check(text_of_buffer(&source), text_of_buffer(&target)) < 100);
    assert_true(check(text_of_buffer(&source), text_of_buffer(&source)) < 40);
    buffer_deinit(&source);
    buffer_deinit(&target);
}

static void largest_texts_without_anything_in_common(void **state)
{
    struct buffer source = {0};
    struct buffer target = {0};

    (void)state;
    append_random(&source, LARGEST, 256);
    append_random(&target, LARGEST, 256);
    assert_true(check(text_of_buffer(&source), text_of_buffer(&target)) < LARGEST + 64);
    buffer_deinit(&source);
    buffer_deinit(&target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_texts_of_all_kinds),
        cmocka_unit_test(sizes_at_every_boundary),
        cmocka_unit_test(random_edits),
        cmocka_unit_test(a_small_change_of_a_large_text_is_small),
        cmocka_unit_test(largest_texts_without_anything_in_common),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
