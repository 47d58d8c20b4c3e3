#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "gateway/admission.h"

#define ROOM_FOR_REFUSALS 64

static struct admission admission;
static struct admission_address *entries[200];
static enum admission_verdict verdicts[200];
static size_t entered;

static int init(void **state)
{
    (void)state;
    entered = 0;
    assert_int_equal(admission_init(&admission), 0);
    return 0;
}

static int deinit(void **state)
{
    (void)state;
    assert_int_equal(admission.connections, 0);
    assert_int_equal(admission.refusals, 0);
    assert_int_equal(admission.addresses.count, 0);
    admission_deinit(&admission);
    return 0;
}

static enum admission_verdict enter_from(const char *host, uint64_t limit, uint64_t address_limit)
{
    struct admission_limits limits = {
        .connections = limit, .per_address = address_limit, .refusals = ROOM_FOR_REFUSALS};
    struct sockaddr_storage address = {0};

    if (strchr(host, ':'))
        uv_ip6_addr(host, 1234, (struct sockaddr_in6 *)&address);
    else
        uv_ip4_addr(host, (int)entered + 1, (struct sockaddr_in *)&address);
    admission_set_limits(&admission, &limits);
    verdicts[entered] = admission_enter(&admission, (struct sockaddr *)&address, &entries[entered]);
    return verdicts[entered++];
}

static enum admission_verdict enter(uint64_t limit)
{
    return enter_from("192.0.2.1", limit, 0);
}

static void leave(size_t index)
{
    admission_leave(&admission, entries[index]);
    entries[index] = entries[--entered];
    verdicts[index] = verdicts[entered];
}

static void leave_all(void)
{
    while (entered > 0)
        leave(entered - 1);
}

static void nobody_is_admitted_before_limits_are_set(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET};

    assert_int_equal(admission_enter(&admission, (struct sockaddr *)&address, &entries[0]),
                     ADMISSION_OVERRUN);
    admission_leave(&admission, entries[0]);
}

static void connections_are_admitted_up_to_the_total(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(enter(3), ADMITTED);
    assert_int_equal(enter(3), ADMISSION_FULL);
    leave(0);
    assert_int_equal(enter(3), ADMITTED);
    assert_int_equal(enter(3), ADMISSION_FULL);
    leave_all();
}

static void lowered_total_holds_for_those_who_come(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(enter(4), ADMITTED);
    leave(0);
    assert_int_equal(enter(2), ADMISSION_FULL);
    assert_int_equal(enter(4), ADMITTED);
    leave_all();
}

static void refused_connections_take_no_place(void **state)
{
    (void)state;
    assert_int_equal(enter_from("192.0.2.1", 2, 1), ADMITTED);
    for (int i = 0; i < 10; i++)
        assert_int_equal(enter_from("192.0.2.1", 2, 1), ADMISSION_ADDRESS_FULL);
    assert_int_equal(enter_from("192.0.2.2", 2, 1), ADMITTED);
    for (int i = 0; i < 10; i++)
        assert_int_equal(enter_from("192.0.2.3", 2, 1), ADMISSION_FULL);
    leave(0);
    assert_int_equal(enter_from("192.0.2.1", 2, 1), ADMITTED);
    leave_all();
}

static void crowd_beyond_the_room_for_refusals_is_not_answered(void **state)
{
    (void)state;
    assert_int_equal(enter(1), ADMITTED);
    for (int i = 0; i < ROOM_FOR_REFUSALS; i++)
        assert_int_equal(enter(1), ADMISSION_FULL);
    assert_int_equal(enter(1), ADMISSION_OVERRUN);
    assert_int_equal(enter(1), ADMISSION_OVERRUN);
    leave(1);
    leave(1);
    leave(1);
    assert_int_equal(enter(1), ADMISSION_FULL);
    assert_int_equal(enter(1), ADMISSION_OVERRUN);
    leave(0);
    assert_int_equal(enter(1), ADMITTED);
    leave_all();
}

static void each_address_has_its_own_share(void **state)
{
    (void)state;
    static const char *const hosts[] = {"192.0.2.1", "192.0.2.2", "2001:db8:0:1::1",
                                        "2001:db8:0:2::1"};

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(enter_from(hosts[i], 100, 2), ADMITTED);
        assert_int_equal(enter_from(hosts[i], 100, 2), ADMITTED);
        assert_int_equal(enter_from(hosts[i], 100, 2), ADMISSION_ADDRESS_FULL);
    }
    assert_int_equal(admission.addresses.count, 4);
    leave_all();
}

static void address_mapped_into_ipv6_is_the_same_address(void **state)
{
    (void)state;
    assert_int_equal(enter_from("192.0.2.1", 100, 1), ADMITTED);
    assert_int_equal(enter_from("::ffff:192.0.2.1", 100, 1), ADMISSION_ADDRESS_FULL);
    leave_all();
}

/* A household may connect from any address of its network. */
static void network_of_64_bits_is_one_address(void **state)
{
    (void)state;
    assert_int_equal(enter_from("2001:db8:0:1::1", 100, 2), ADMITTED);
    assert_int_equal(enter_from("2001:db8:0:1:ffff:ffff:ffff:ffff", 100, 2), ADMITTED);
    assert_int_equal(enter_from("2001:db8:0:1:8000::", 100, 2), ADMISSION_ADDRESS_FULL);
    assert_int_equal(enter_from("2001:db8::1", 100, 2), ADMITTED);
    leave(0);
    assert_int_equal(enter_from("2001:db8:0:1::2", 100, 2), ADMITTED);
    assert_int_equal(admission.addresses.count, 2);
    leave_all();
}

/* Mapped addresses all lie in one network of IPv6, and are none. */
static void mapped_addresses_are_not_one_network(void **state)
{
    (void)state;
    assert_int_equal(enter_from("::ffff:192.0.2.1", 100, 1), ADMITTED);
    assert_int_equal(enter_from("::ffff:192.0.2.2", 100, 1), ADMITTED);
    assert_int_equal(enter_from("::ffff:192.0.2.2", 100, 1), ADMISSION_ADDRESS_FULL);
    leave_all();
}

static void address_is_forgotten_with_its_last_connection(void **state)
{
    (void)state;
    enter_from("192.0.2.1", 100, 9);
    enter_from("192.0.2.1", 100, 9);
    leave(0);
    assert_int_equal(admission.addresses.count, 1);
    leave(0);
    assert_int_equal(admission.addresses.count, 0);
}

/* A reload may set or lift the limit per address while connections are open. */
static void limit_per_address_may_come_and_go(void **state)
{
    (void)state;
    assert_int_equal(enter_from("192.0.2.1", 100, 0), ADMITTED);
    assert_int_equal(enter_from("192.0.2.1", 100, 1), ADMITTED);
    assert_int_equal(enter_from("192.0.2.1", 100, 1), ADMISSION_ADDRESS_FULL);
    assert_int_equal(enter_from("192.0.2.1", 100, 0), ADMITTED);
    leave_all();
}

static enum admission_verdict claim(size_t index, const char *host)
{
    struct sockaddr_in address;

    uv_ip4_addr(host, 1, &address);
    return admission_claim(&admission, (struct sockaddr *)&address, &entries[index]);
}

static void enter_by_proxy(uint64_t limit, uint64_t address_limit)
{
    struct admission_limits limits = {
        .connections = limit, .per_address = address_limit, .refusals = ROOM_FOR_REFUSALS};

    admission_set_limits(&admission, &limits);
    assert_int_equal(admission_enter(&admission, NULL, &entries[entered]), ADMITTED);
    entered++;
}

static void connections_of_a_proxy_count_under_their_clients(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        enter_by_proxy(4, 1);
    assert_int_equal(admission.addresses.count, 0);
    assert_int_equal(claim(0, "192.0.2.1"), ADMITTED);
    assert_int_equal(claim(1, "192.0.2.2"), ADMITTED);
    assert_int_equal(claim(2, "192.0.2.1"), ADMISSION_ADDRESS_FULL);
    assert_int_equal(admission.connections, 3); /* which the one refused is not of any more */
    assert_int_equal(enter_from("192.0.2.2", 4, 1), ADMISSION_ADDRESS_FULL);
    leave(0);
    assert_int_equal(enter_from("192.0.2.1", 4, 1), ADMITTED);
    leave_all();
}

static void client_of_a_proxy_claims_nothing_without_a_limit(void **state)
{
    (void)state;
    enter_by_proxy(4, 0);
    assert_int_equal(claim(0, "192.0.2.1"), ADMITTED);
    assert_int_equal(admission.addresses.count, 0);
    leave_all();
}

static size_t turns_at(uint64_t now_ms)
{
    size_t taken = 0;

    while (admission_take_turn(&admission, now_ms))
        taken++;
    return taken;
}

static void websockets_open_at_their_rate(void **state)
{
    (void)state;
    struct admission_limits limits = {.rate = 100};

    admission_set_limits(&admission, &limits);
    assert_int_equal(turns_at(5000), 100); /* as after a quiet second */
    assert_int_equal(turns_at(5000), 0);
    assert_int_equal(turns_at(5009), 0);
    assert_int_equal(turns_at(5010), 1);
    assert_int_equal(turns_at(5510), 50);
    assert_int_equal(turns_at(5400), 0); /* a loop that is behind */
    assert_int_equal(turns_at(6510), 100);
    assert_int_equal(turns_at(600000), 100);
}

static void rate_may_come_and_go(void **state)
{
    (void)state;
    struct admission_limits limits = {.rate = 2};

    for (int i = 0; i < 1000; i++)
        assert_true(admission_take_turn(&admission, 5000));
    admission_set_limits(&admission, &limits);
    assert_int_equal(turns_at(5000), 2);
    limits.rate = 1;
    admission_set_limits(&admission, &limits);
    assert_int_equal(turns_at(600000), 1);
    limits.rate = 0;
    admission_set_limits(&admission, &limits);
    for (int i = 0; i < 1000; i++)
        assert_true(admission_take_turn(&admission, 600000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_is_admitted_before_limits_are_set, init, deinit),
        cmocka_unit_test_setup_teardown(connections_are_admitted_up_to_the_total, init, deinit),
        cmocka_unit_test_setup_teardown(lowered_total_holds_for_those_who_come, init, deinit),
        cmocka_unit_test_setup_teardown(refused_connections_take_no_place, init, deinit),
        cmocka_unit_test_setup_teardown(crowd_beyond_the_room_for_refusals_is_not_answered, init,
                                        deinit),
        cmocka_unit_test_setup_teardown(each_address_has_its_own_share, init, deinit),
        cmocka_unit_test_setup_teardown(address_mapped_into_ipv6_is_the_same_address, init, deinit),
        cmocka_unit_test_setup_teardown(network_of_64_bits_is_one_address, init, deinit),
        cmocka_unit_test_setup_teardown(mapped_addresses_are_not_one_network, init, deinit),
        cmocka_unit_test_setup_teardown(address_is_forgotten_with_its_last_connection, init,
                                        deinit),
        cmocka_unit_test_setup_teardown(limit_per_address_may_come_and_go, init, deinit),
        cmocka_unit_test_setup_teardown(websockets_open_at_their_rate, init, deinit),
        cmocka_unit_test_setup_teardown(rate_may_come_and_go, init, deinit),
        cmocka_unit_test_setup_teardown(connections_of_a_proxy_count_under_their_clients, init,
                                        deinit),
        cmocka_unit_test_setup_teardown(client_of_a_proxy_claims_nothing_without_a_limit, init,
                                        deinit),
    };

    return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
