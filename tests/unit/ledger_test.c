/* The check of the load generator finds what it is there to find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "tests/bench/ledger.h"

#define RUN     0x1234abcdu
#define CLIENTS 3

static int create(void **state)
{
    struct ledger *ledger = memory_allocate(sizeof(*ledger));

    ledger_init(ledger, RUN, CLIENTS, 2);
    *state = ledger;
    return 0;
}

static int destroy(void **state)
{
    ledger_deinit(*state);
    memory_free(*state);
    return 0;
}

static bool receive(struct ledger *ledger, uint32_t client, uint32_t publisher, uint32_t sequence)
{
    char stamp[LEDGER_STAMP_BYTES];
    uint64_t due_ns = 0;

    ledger_stamp(ledger, stamp, publisher, sequence, 1000 + sequence);

    bool is_delivery = ledger_receive(ledger, client, stamp, sizeof(stamp), &due_ns);

    if (is_delivery)
        assert_int_equal(due_ns, 1000 + sequence);
    return is_delivery;
}

static void receive_at_all(struct ledger *ledger, uint32_t publisher, uint32_t sequence)
{
    for (uint32_t client = 0; client < CLIENTS; client++)
        assert_true(receive(ledger, client, publisher, sequence));
}

static void one_order_at_all_clients_passes(void **state)
{
    struct ledger *ledger = *state;

    for (uint32_t sequence = 0; sequence < 5000; sequence++) {
        receive_at_all(ledger, 1, sequence);
        receive_at_all(ledger, 0, sequence);
    }
    assert_false(ledger_has_fault(ledger));
    assert_int_equal(ledger_completed(ledger), 10000);
    assert_int_equal(ledger_lost(ledger, 10000), 0);
}

static void client_far_behind_passes(void **state)
{
    struct ledger *ledger = *state;

    for (uint32_t sequence = 0; sequence < 5000; sequence++) {
        receive(ledger, 0, 0, sequence);
        receive(ledger, 2, 0, sequence);
    }
    assert_int_equal(ledger_completed(ledger), 0);
    assert_int_equal(ledger_lost(ledger, 5000), 5000);
    for (uint32_t sequence = 0; sequence < 5000; sequence++)
        receive(ledger, 1, 0, sequence);
    assert_false(ledger_has_fault(ledger));
    assert_int_equal(ledger_completed(ledger), 5000);
}

static void message_that_one_client_lacks_is_lost(void **state)
{
    struct ledger *ledger = *state;

    receive_at_all(ledger, 0, 0);
    receive(ledger, 0, 0, 1);
    receive(ledger, 1, 0, 1);
    receive_at_all(ledger, 0, 2);
    assert_true(ledger_has_fault(ledger));
    assert_int_equal(ledger_lost(ledger, 3), 1);
    assert_int_equal(ledger_completed(ledger), 2);
    assert_int_equal(ledger->reordered + ledger->doubled, 0);
}

static void message_that_nobody_receives_is_lost(void **state)
{
    struct ledger *ledger = *state;

    receive_at_all(ledger, 0, 0);
    receive_at_all(ledger, 0, 2);
    assert_true(ledger->fault[0] != '\0');
    assert_true(ledger_has_fault(ledger));
    assert_int_equal(ledger_lost(ledger, 3), CLIENTS);
}

static void message_that_comes_again_is_doubled(void **state)
{
    struct ledger *ledger = *state;

    receive_at_all(ledger, 0, 0);
    assert_false(receive(ledger, 1, 0, 0)); /* all have it */
    receive(ledger, 0, 0, 1);
    assert_false(receive(ledger, 0, 0, 1)); /* others do not */
    assert_int_equal(ledger->doubled, 2);
    assert_int_equal(ledger_lost(ledger, 2), 2);
}

static void old_message_that_was_forgotten_is_doubled(void **state)
{
    struct ledger *ledger = *state;

    receive_at_all(ledger, 0, 0);
    receive_at_all(ledger, 0, 1);
    assert_int_equal(ledger_completed(ledger), 2);
    assert_false(receive(ledger, 2, 0, 0));
    assert_int_equal(ledger->doubled, 1);
}

static void other_order_than_elsewhere_is_reordered(void **state)
{
    struct ledger *ledger = *state;

    receive(ledger, 0, 0, 0);
    receive(ledger, 0, 1, 0);
    receive(ledger, 1, 1, 0);
    receive(ledger, 1, 0, 0);
    assert_true(ledger_has_fault(ledger));
    assert_int_equal(ledger->reordered, 1);
    assert_int_equal(ledger->doubled, 0);
    assert_int_equal(ledger_lost(ledger, 2), 2);
}

static void publisher_out_of_order_everywhere_is_reordered(void **state)
{
    struct ledger *ledger = *state;

    receive_at_all(ledger, 0, 1);
    receive_at_all(ledger, 0, 0);
    assert_true(ledger_has_fault(ledger));
    assert_true(ledger->reordered > 0);
    assert_int_equal(ledger_lost(ledger, 2), 0);
}

static void messages_of_others_are_ignored(void **state)
{
    static const char *const texts[] = {
        "",
        "hello",
        "a text as long as a stamp, by chance, of somebody",
        "1234abce 0000 00000000 0000000000000001 ", /* another run */
        "1234abcd 0002 00000000 0000000000000001 ", /* no such publisher */
        "1234abcd 0000 0000000g 0000000000000001 ",
    };
    struct ledger *ledger = *state;
    uint64_t due_ns;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(ledger_receive(ledger, 0, texts[i], strlen(texts[i]), &due_ns));
    assert_int_equal(ledger->foreign, sizeof(texts) / sizeof(texts[0]));
    assert_false(ledger_has_fault(ledger));
    receive_at_all(ledger, 0, 0);
    assert_false(ledger_has_fault(ledger));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_order_at_all_clients_passes),
        CASE(client_far_behind_passes),
        CASE(message_that_one_client_lacks_is_lost),
        CASE(message_that_nobody_receives_is_lost),
        CASE(message_that_comes_again_is_doubled),
        CASE(old_message_that_was_forgotten_is_doubled),
        CASE(other_order_than_elsewhere_is_reordered),
        CASE(publisher_out_of_order_everywhere_is_reordered),
        CASE(messages_of_others_are_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
