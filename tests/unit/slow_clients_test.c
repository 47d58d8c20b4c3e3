#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/slow_clients.h"

static struct slow_clients clients;
static struct slow_client *place;

static int forget(void **state)
{
    (void)state;
    clients = (struct slow_clients){0};
    place = NULL;
    return 0;
}

static const struct slow_client *find(uint64_t connection)
{
    for (size_t i = 0; i < SLOW_CLIENTS; i++) {
        if (clients.items[i].connection == connection)
            return &clients.items[i];
    }
    return NULL;
}

static void client_is_new_once_and_brought_up_to_date(void **state)
{
    (void)state;
    assert_true(slow_clients_note(&clients, 7, 100, false, 5000, &place));
    strcpy(place->address, "here");
    assert_false(slow_clients_note(&clients, 7, 300, true, 6000, &place));
    assert_ptr_equal(place, find(7));
    assert_int_equal(place->queued_bytes, 300);
    assert_int_equal(place->seen_ms, 6000);
    assert_true(place->is_closed);
    assert_string_equal(place->address, "here");
}

static void there_is_room_for_many_at_once(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= SLOW_CLIENTS; id++)
        assert_true(slow_clients_note(&clients, id, 1, false, 5000, &place));
    for (uint64_t id = 1; id <= SLOW_CLIENTS; id++)
        assert_non_null(find(id));
}

static void who_was_slow_longest_ago_makes_room_but_not_at_once(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= SLOW_CLIENTS; id++)
        slow_clients_note(&clients, id, 1, false, 5000 + id, &place);
    assert_false(slow_clients_note(&clients, 99, 1, false, 5500, &place));
    assert_null(find(99));
    slow_clients_note(&clients, 1, 1, false, 5600, &place);
    assert_true(slow_clients_note(&clients, 99, 1, false, 6500, &place));
    assert_non_null(find(99));
    assert_null(find(2));
    assert_non_null(find(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(client_is_new_once_and_brought_up_to_date, forget),
        cmocka_unit_test_setup(there_is_room_for_many_at_once, forget),
        cmocka_unit_test_setup(who_was_slow_longest_ago_makes_room_but_not_at_once, forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
