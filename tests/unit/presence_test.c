#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "router/presence.h"

#define NO_LIMIT (UINT64_MAX / 2)
#define HERE     1 /* gateways */
#define THERE    2

static struct presences presences;
static struct presence room;

static void set_up(uint64_t limit)
{
    presences_init(&presences, limit);
    presence_init(&room, &presences);
}

static void tear_down(void)
{
    presence_deinit(&room);
    assert_int_equal(presences.memory, 0);
    assert_int_equal(presences.count, 0);
}

static int come_with(struct presence *presence, const char *client, const char *info, uint64_t node,
                     uint64_t now_ms)
{
    struct router_present who = {
        client, strlen(client), "user", 4, (const unsigned char *)info, strlen(info)};

    return presence_set(presence, &who, node, now_ms);
}

static int come(const char *client, uint64_t node, uint64_t now_ms)
{
    return come_with(&room, client, "", node, now_ms);
}

static void assert_there(const struct presence *presence, const char *expected)
{
    char found[512] = "";
    const struct presence_entry *entry = NULL;

    while ((entry = presence_next(presence, entry))) {
        struct router_present who = presence_who(entry);
        size_t size = strlen(found);

        snprintf(found + size, sizeof(found) - size, "%s%.*s%.*s", size ? " " : "",
                 (int)who.client_size, who.client, (int)who.info_size, (const char *)who.info);
    }
    assert_string_equal(found, expected);
}

static void whoever_is_announced_is_there(void **state)
{
    (void)state;
    set_up(NO_LIMIT);
    assert_true(presence_is_empty(&room));
    assert_int_equal(come("ann", HERE, 0), 0);
    assert_int_equal(come("bob", THERE, 0), 0);
    assert_false(presence_is_empty(&room));
    assert_there(&room, "ann bob");

    struct router_present who = presence_who(presence_next(&room, NULL));

    assert_int_equal(who.user_size, 4);
    assert_memory_equal(who.user, "user", 4);
    tear_down();
}

static void announcing_again_replaces_what_was_told(void **state)
{
    (void)state;
    set_up(NO_LIMIT);
    come_with(&room, "ann", "-old", HERE, 0);
    come_with(&room, "ann", "-new!", HERE, 1);
    assert_there(&room, "ann-new!");
    come_with(&room, "ann", "-new!", HERE, 2);
    assert_there(&room, "ann-new!");
    assert_int_equal(presences.count, 1);
    tear_down();
}

static void only_the_gateway_that_announced_last_removes(void **state)
{
    (void)state;
    set_up(NO_LIMIT);
    come("ann", HERE, 0);
    presence_remove(&room, "ann", 3, THERE);
    assert_there(&room, "ann");
    come("ann", THERE, 1); /* the client has moved */
    presence_remove(&room, "ann", 3, HERE);
    assert_there(&room, "ann");
    presence_remove(&room, "ann", 3, THERE);
    assert_there(&room, "");
    presence_remove(&room, "ann", 3, THERE);
    tear_down();
}

static void a_gateway_takes_its_clients_along_and_no_others(void **state)
{
    (void)state;
    set_up(NO_LIMIT);
    come("ann", HERE, 0);
    come("bob", THERE, 0);
    come("cat", HERE, 0);
    presence_remove_node(&room, HERE);
    assert_there(&room, "bob");
    tear_down();
}

static void whoever_is_not_announced_for_15_s_is_gone(void **state)
{
    (void)state;
    set_up(NO_LIMIT);
    come("ann", HERE, 1000);
    come("bob", HERE, 1000);
    come("cat", HERE, 3000);
    come("ann", HERE, 6000);
    presences_expire(&presences, 15999);
    assert_there(&room, "ann bob cat");
    presences_expire(&presences, 16000);
    assert_there(&room, "ann cat");
    presences_expire(&presences, 20999);
    assert_there(&room, "ann");
    presences_expire(&presences, 21000);
    assert_there(&room, "");
    tear_down();
}

static void channels_die_one_by_one(void **state)
{
    struct presence other;

    (void)state;
    set_up(NO_LIMIT);
    presence_init(&other, &presences);
    come_with(&other, "ann", "", HERE, 0);
    come("ann", HERE, 5000);
    presences_expire(&presences, 15000);
    assert_there(&other, "");
    assert_there(&room, "ann");
    presence_deinit(&other);
    tear_down();
}

static void what_does_not_fit_is_refused_and_the_rest_stays(void **state)
{
    uint64_t one;

    (void)state;
    set_up(NO_LIMIT);
    come("ann", HERE, 0);
    one = presences.memory;
    assert_true(one > 0);
    presences.memory_limit = 2 * one;
    assert_int_equal(come("bob", HERE, 0), 0);
    assert_int_equal(come("cat", HERE, 0), UV_ENOBUFS);
    assert_there(&room, "ann bob");

    /* Who is there may be announced again, but not with more than there is room for. */
    assert_int_equal(come("ann", HERE, 1), 0);
    assert_int_equal(come_with(&room, "ann", "more", HERE, 2), UV_ENOBUFS);
    assert_there(&room, "ann bob");

    presence_remove(&room, "bob", 3, HERE);
    assert_int_equal(come("cat", HERE, 3), 0);
    assert_there(&room, "ann cat");
    tear_down();
}

static void info_counts_as_memory(void **state)
{
    char info[4001];
    uint64_t empty;

    (void)state;
    memset(info, 'x', 4000);
    info[4000] = '\0';
    set_up(NO_LIMIT);
    come("ann", HERE, 0);
    empty = presences.memory;
    come_with(&room, "ann", info, HERE, 0);
    assert_int_equal(presences.memory, empty + 4000);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_announced_is_there),
        cmocka_unit_test(announcing_again_replaces_what_was_told),
        cmocka_unit_test(only_the_gateway_that_announced_last_removes),
        cmocka_unit_test(a_gateway_takes_its_clients_along_and_no_others),
        cmocka_unit_test(whoever_is_not_announced_for_15_s_is_gone),
        cmocka_unit_test(channels_die_one_by_one),
        cmocka_unit_test(what_does_not_fit_is_refused_and_the_rest_stays),
        cmocka_unit_test(info_counts_as_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
