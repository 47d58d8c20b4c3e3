#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/clients.h"

#define COUNT 6

static struct clients clients;
static struct client_place places[COUNT];
static char ids[COUNT][8];
static size_t visited;

static int set_up(void **state)
{
    (void)state;
    clients = (struct clients){0};
    visited = 0;
    for (size_t i = 0; i < COUNT; i++) {
        places[i] = (struct client_place){0};
        snprintf(ids[i], sizeof(ids[i]), "id%zu", i);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        clients_remove(&clients, &places[i]);
    assert_int_equal(clients_count(&clients), 0);
    assert_int_equal(clients_user_count(&clients), 0);
    clients_deinit(&clients);
    return 0;
}

static void add(size_t i, const char *user)
{
    clients_add(&clients, &places[i], text_of(ids[i]), text_of(user));
}

static void count(struct client_place *place, void *context)
{
    (void)place;
    (void)context;
    visited++;
}

static void leave(struct client_place *place, void *context)
{
    clients_remove(context, place);
    visited++;
}

static size_t count_of(const char *user)
{
    visited = 0;
    clients_each_of_user(&clients, text_of(user), count, NULL);
    return visited;
}

static void are_found_by_id_and_by_user(void **state)
{
    (void)state;
    add(0, "ann");
    add(1, "ben");
    add(2, "ann");
    assert_ptr_equal(clients_find(&clients, text_of("id1")), &places[1]);
    assert_null(clients_find(&clients, text_of("id")));
    assert_null(clients_find(&clients, text_of("")));
    assert_int_equal(count_of("ann"), 2);
    assert_int_equal(count_of("ben"), 1);
    assert_int_equal(count_of("an"), 0);
    assert_int_equal(clients_count(&clients), 3);
    assert_int_equal(clients_user_count(&clients), 2);
}

static void those_without_a_name_are_one_user(void **state)
{
    (void)state;
    assert_int_equal(count_of(""), 0);
    add(0, "");
    add(1, "");
    assert_int_equal(count_of(""), 2);
    assert_int_equal(clients_user_count(&clients), 1);
}

static void a_user_goes_with_the_last_client(void **state)
{
    (void)state;
    add(0, "ann");
    add(1, "ann");
    clients_remove(&clients, &places[0]);
    assert_null(clients_find(&clients, text_of("id0")));
    assert_int_equal(count_of("ann"), 1);
    clients_remove(&clients, &places[1]);
    assert_int_equal(count_of("ann"), 0);
    clients_remove(&clients, &places[1]); /* harmless */
    add(0, "ann");
    assert_int_equal(count_of("ann"), 1);
}

static void all_of_a_user_may_leave_while_they_are_visited(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        add(i, i % 2 ? "ben" : "ann");
    clients_each_of_user(&clients, text_of("ann"), leave, &clients);
    assert_int_equal(visited, COUNT / 2);
    assert_int_equal(count_of("ann"), 0);
    assert_int_equal(count_of("ben"), COUNT / 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(are_found_by_id_and_by_user),
        CASE(those_without_a_name_are_one_user),
        CASE(a_user_goes_with_the_last_client),
        CASE(all_of_a_user_may_leave_while_they_are_visited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
