#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/hash.h"

/* The expected values are those of CPython 3.11, whose bytes are hashed by the same function and,
 * with PYTHONHASHSEED=0, under the same key. */
static void values_are_those_of_another_implementation(void **state)
{
    static const uint64_t zero[2] = {0, 0};
    unsigned char counting[63];

    (void)state;
    for (size_t i = 0; i < sizeof(counting); i++)
        counting[i] = (unsigned char)i;
    assert_true(hash_siphash13(zero, "a", 1) == 0x407448d2b89b1813u);
    assert_true(hash_siphash13(zero, "abcdefg", 7) == 0x6db12aae9070f506u);
    assert_true(hash_siphash13(zero, "abcdefgh", 8) == 0x3f7b849c0b8e35eau);
    assert_true(hash_siphash13(zero, "lobby-channel-15", 16) == 0x87f15534882c77c1u);
    assert_true(hash_siphash13(zero, counting, 63) == 0x385d3e39e5f37359u);
}

static void other_key_gives_another_hash(void **state)
{
    static const uint64_t one[2] = {1, 0};
    static const uint64_t two[2] = {0, 1};

    (void)state;
    assert_true(hash_siphash13(one, "a", 1) != hash_siphash13(two, "a", 1));
}

static void alignment_does_not_matter(void **state)
{
    static const uint64_t key[2] = {7, 11};
    unsigned char room[64];

    (void)state;
    for (size_t offset = 0; offset < 16; offset++) {
        for (size_t i = 0; i < 25; i++)
            room[offset + i] = (unsigned char)"the same bytes everywhere"[i];
        assert_true(hash_siphash13(key, room + offset, 25) ==
                    hash_siphash13(key, "the same bytes everywhere", 25));
    }
}

static void process_key_stays_the_same(void **state)
{
    (void)state;
    assert_true(hash_keyed("lobby", 5) == hash_keyed("lobby", 5));
    assert_true(hash_keyed("lobby", 5) != hash_keyed("lobbz", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_another_implementation),
        cmocka_unit_test(other_key_gives_another_hash),
        cmocka_unit_test(alignment_does_not_matter),
        cmocka_unit_test(process_key_stays_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
