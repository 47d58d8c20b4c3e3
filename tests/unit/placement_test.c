#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/placement.h"

#define CHANNELS 30000
#define SHARDS   4

static const char *const names[3] = {"router-0", "router-1", "router-2"};

static size_t name_channel(char name[32], unsigned number)
{
    return (size_t)snprintf(name, 32, "channel:%u", number);
}

/* Which of the routers in `mask` a channel belongs to. */
static int owner_of(const char *channel, size_t channel_size, unsigned mask)
{
    uint64_t best_score = 0;
    int best = -1;

    for (int i = 0; i < 3; i++) {
        uint64_t score = placement_score(placement_seed(names[i]), channel, channel_size);

        if ((mask & 1u << i) && (best < 0 || score > best_score)) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

/* Three per cent is beyond what chance would do in one of a thousand cases; and these are fixed. */
static void assert_is_about(unsigned count, unsigned expected)
{
    assert_in_range(count, expected * 97 / 100, expected * 103 / 100);
}

/* The figures come from another implementation of SipHash-1-3. */
static void scores_and_shards_are_the_same_in_every_version(void **state)
{
    (void)state;
    assert_true(placement_seed("router-0") == 0x350f1e76e342a4ccu);
    assert_true(placement_seed("a") == 0x45c108dc7fb7e0a7u);
    assert_true(placement_score(0x350f1e76e342a4ccu, "lobby", 5) == 0x42dc9f47d5f4f1f6u);
    assert_true(placement_score(0x350f1e76e342a4ccu, "caf\xc3\xa9", 5) == 0x85f981a123be88c4u);
    assert_true(placement_score(0xd6a065de97eff8b0u, "lobby", 5) == 0x87f8d2880b0f3081u);
    assert_int_equal(placement_shard("lobby", 5, 1), 0);
    assert_int_equal(placement_shard("lobby", 5, 3), 1);
    assert_int_equal(placement_shard("lobby", 5, 1000), 464);
    assert_int_equal(placement_shard("caf\xc3\xa9", 5, 16), 4);
    assert_int_equal(placement_shard("caf\xc3\xa9", 5, 1000), 812);
}

static void only_the_bytes_named_count(void **state)
{
    uint64_t seed = placement_seed("router-0");

    (void)state;
    assert_true(placement_score(seed, "lobby", 5) == placement_score(seed, "lobby2", 5));
    assert_true(placement_score(seed, "lobby", 5) != placement_score(seed, "lobby2", 6));
    assert_int_equal(placement_shard("lobby", 5, 1000), placement_shard("lobby2", 5, 1000));
}

static void channels_are_spread_evenly_over_routers(void **state)
{
    unsigned owned[3] = {0};
    char name[32];

    (void)state;
    for (unsigned i = 0; i < CHANNELS; i++)
        owned[owner_of(name, name_channel(name, i), 7)]++;
    for (int i = 0; i < 3; i++)
        assert_is_about(owned[i], CHANNELS / 3);
}

static void router_that_goes_moves_its_own_channels_alone_and_to_both_others(void **state)
{
    unsigned moved[3] = {0};
    char name[32];

    (void)state;
    for (unsigned i = 0; i < CHANNELS; i++) {
        size_t size = name_channel(name, i);
        int before = owner_of(name, size, 7);
        int after = owner_of(name, size, 5);

        if (before == 1)
            moved[after]++;
        else
            assert_int_equal(before, after);
    }
    assert_int_equal(moved[1], 0);
    assert_is_about(moved[0], CHANNELS / 6);
    assert_is_about(moved[2], CHANNELS / 6);
}

static void shards_are_even_and_say_nothing_about_the_router(void **state)
{
    unsigned counts[SHARDS] = {0};
    unsigned firsts[SHARDS] = {0};
    char name[32];

    (void)state;
    for (unsigned i = 0; i < CHANNELS; i++) {
        size_t size = name_channel(name, i);
        uint32_t shard = placement_shard(name, size, SHARDS);

        assert_in_range(shard, 0, SHARDS - 1);
        counts[shard]++;
        firsts[shard] += owner_of(name, size, 3) == 0;
    }
    for (int i = 0; i < SHARDS; i++) {
        assert_is_about(counts[i], CHANNELS / SHARDS);
        assert_is_about(firsts[i], CHANNELS / SHARDS / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_and_shards_are_the_same_in_every_version),
        cmocka_unit_test(only_the_bytes_named_count),
        cmocka_unit_test(channels_are_spread_evenly_over_routers),
        cmocka_unit_test(router_that_goes_moves_its_own_channels_alone_and_to_both_others),
        cmocka_unit_test(shards_are_even_and_say_nothing_about_the_router),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
