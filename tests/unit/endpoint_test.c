/*
 * A host with several addresses of which one has a server. No host that tests can rely on has them,
 * so the look-up is ours: "several" is 127.0.0.2, ::1 and 127.0.0.1, "elsewhere" the first two.
 */
#include "tests/unit/bare_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/bench/endpoint.h"

static struct sockaddr_in other = {.sin_family = AF_INET};
static struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
static struct sockaddr_in loopback = {.sin_family = AF_INET};

static struct addrinfo addresses[] = {
    {.ai_family = AF_INET, .ai_addrlen = sizeof(other), .ai_addr = (struct sockaddr *)&other},
    {.ai_family = AF_INET6, .ai_addrlen = sizeof(v6), .ai_addr = (struct sockaddr *)&v6},
    {.ai_family = AF_INET, .ai_addrlen = sizeof(loopback), .ai_addr = (struct sockaddr *)&loopback},
};

/* In the place of the C library's. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **found)
{
    in_port_t number = htons((uint16_t)strtoul(port, NULL, 10));
    bool is_several = strcmp(host, "several") == 0;

    (void)hints;
    if (!is_several && strcmp(host, "elsewhere") != 0)
        return EAI_NONAME;
    other.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    other.sin_port = v6.sin6_port = loopback.sin_port = number;
    addresses[0].ai_next = &addresses[1];
    addresses[1].ai_next = is_several ? &addresses[2] : NULL;
    *found = addresses;
    return 0;
}

void freeaddrinfo(struct addrinfo *found)
{
    assert_ptr_equal(found, addresses);
}

static struct arguments load_on(const char *host, const struct bare *bare)
{
    static char url[64];

    snprintf(url, sizeof(url), "ws://%s:%u", host, bare->port);

    struct arguments arguments = small_load(url);

    arguments.messages = 20;
    return arguments;
}

static void address_that_took_the_first_connection_takes_all(void **state)
{
    struct bare bare = bare_start("none");
    struct arguments arguments = load_on("several", &bare);

    (void)state;

    struct load_result *result = run_load(&arguments);

    assert_string_equal(result->trouble, "");
    assert_int_equal(result->opened, arguments.clients);
    assert_int_equal(result->total.received, result->total.sent * arguments.clients);
    memory_free(result);
    bare_stop(&bare);
}

/* Listens at the second address, where the queue is full: who connects there waits for ever. */
static int listen_without_answering(const struct bare *bare, int *waiting)
{
    struct sockaddr_in address = other;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    address.sin_port = htons((uint16_t)bare->port);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 0), 0);
    *waiting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*waiting, (struct sockaddr *)&address, sizeof(address)), 0);
    return listener;
}

static void address_that_never_answers_is_given_up(void **state)
{
    struct bare bare = bare_start("none");
    struct arguments arguments = load_on("several", &bare);
    int waiting;
    int listener = listen_without_answering(&bare, &waiting);

    (void)state;
    arguments.timeout_ns = 2000000000;

    struct load_result *result = run_load(&arguments);

    assert_string_equal(result->trouble, "");
    assert_int_equal(result->opened, arguments.clients);
    close(waiting);
    close(listener);
    memory_free(result);
    bare_stop(&bare);
}

static void host_whose_addresses_all_refuse_is_reported(void **state)
{
    struct bare bare = bare_start("none");
    struct arguments arguments = load_on("elsewhere", &bare);

    (void)state;

    struct load_result *result = run_load(&arguments);

    assert_int_equal(result->opened, 0);
    assert_memory_equal(result->trouble, "connection 0: ", 14);
    memory_free(result);
    bare_stop(&bare);
}

static void addresses_are_tried_in_turn_until_one_is_reached(void **state)
{
    struct endpoint endpoint;

    (void)state;
    assert_int_equal(endpoint_resolve(&endpoint, "several", "80"), 0);
    assert_int_equal(endpoint.address->ai_family, AF_INET);
    assert_true(endpoint_advance(&endpoint));
    assert_int_equal(endpoint.address->ai_family, AF_INET6);
    assert_true(endpoint_advance(&endpoint));
    assert_int_equal(endpoint.address->ai_family, AF_INET);
    assert_false(endpoint_advance(&endpoint));
    endpoint_deinit(&endpoint);

    assert_int_equal(endpoint_resolve(&endpoint, "several", "80"), 0);
    endpoint.is_reached = true;
    assert_false(endpoint_advance(&endpoint));
    endpoint_deinit(&endpoint);
}

static void unknown_host_is_reported(void **state)
{
    struct arguments arguments = small_load("ws://nowhere");
    struct load_result *result = run_load(&arguments);

    (void)state;
    assert_memory_equal(result->trouble, "nowhere: ", 9);
    memory_free(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_that_took_the_first_connection_takes_all),
        cmocka_unit_test(address_that_never_answers_is_given_up),
        cmocka_unit_test(host_whose_addresses_all_refuse_is_reported),
        cmocka_unit_test(addresses_are_tried_in_turn_until_one_is_reached),
        cmocka_unit_test(unknown_host_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
