#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "gateway/redis_addresses.h"

static struct loop loop;
static struct redis_addresses addresses;
static unsigned told;
static int result;

static int make(void **state)
{
    (void)state;
    addresses = (struct redis_addresses){0};
    told = 0;
    return loop_init(&loop);
}

static int destroy(void **state)
{
    (void)state;
    redis_addresses_forget(&addresses);
    loop_deinit(&loop);
    return 0;
}

static void on_resolved(struct redis_addresses *those, int error)
{
    assert_ptr_equal(those, &addresses);
    told++;
    result = error;
}

static int ask(const char *host)
{
    struct redis_url url = {.host = (char *)host, .port = 6379};

    return redis_addresses_resolve(&addresses, &loop, &url, on_resolved);
}

static void resolve(const char *host)
{
    told = 0;
    assert_int_equal(ask(host), 0);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(told, 1);
}

static unsigned port_of(const struct sockaddr *address)
{
    return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
}

static void there_are_none_before_a_name_is_resolved(void **state)
{
    (void)state;
    assert_null(redis_addresses_next(&addresses));
}

static void each_is_taken_once_until_the_name_is_asked_for_again(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        resolve("127.0.0.1");
        assert_int_equal(result, 0);

        const struct sockaddr *address = redis_addresses_next(&addresses);

        assert_non_null(address);
        assert_int_equal(port_of(address), 6379);
        assert_null(redis_addresses_next(&addresses));
    }
}

static void none_is_left_of_those_that_are_forgotten(void **state)
{
    (void)state;
    resolve("127.0.0.1");
    redis_addresses_forget(&addresses);
    assert_null(redis_addresses_next(&addresses));
}

static void name_that_cannot_be_one_is_an_error_at_once(void **state)
{
    (void)state;
    static char host[2000];

    memset(host, 'x', sizeof(host) - 1);
    assert_true(ask(host) < 0);
    assert_int_equal(told, 0);
}

/* Whether or not a thread was at it. */
static void what_is_cancelled_is_told_once(void **state)
{
    (void)state;
    assert_int_equal(ask("127.0.0.1"), 0);
    redis_addresses_cancel(&addresses);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(told, 1);
    assert_true(result == UV_ECANCELED || result == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_are_none_before_a_name_is_resolved, make, destroy),
        cmocka_unit_test_setup_teardown(each_is_taken_once_until_the_name_is_asked_for_again, make,
                                        destroy),
        cmocka_unit_test_setup_teardown(none_is_left_of_those_that_are_forgotten, make, destroy),
        cmocka_unit_test_setup_teardown(name_that_cannot_be_one_is_an_error_at_once, make, destroy),
        cmocka_unit_test_setup_teardown(what_is_cancelled_is_told_once, make, destroy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
