/* A dialer and the router that it dials, on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listener.h"
#include "common/memory.h"
#include "common/router_dialer.h"

#define WAIT_LIMIT_MS 60000
#define PULSE_MS      5
#define GATEWAY       1
#define ROUTER        2

static struct loop loop;
static uv_timer_t pulse; /* lets a loop iteration end where nothing else happens */
static unsigned pulses;

/* The dialer's side. */
static struct router_identity identity;
static struct router_link_host host;
static struct router_dialer dialer;
static struct router_link *ready; /* the last one */
static unsigned ready_count;
static unsigned closed_count;
static unsigned tried_count;
static unsigned closed_all_count;
static uint64_t covered; /* a node that is not wanted */
static uint64_t dead;    /* the last that was found to be so */
static char missing[256];

/* The router's side. */
static struct router_identity router_identity;
static struct router_link_host router_host;
static struct listener listener;
static bool is_listening;
static char address[ADDRESS_TEXT_LIMIT];
static struct router_link *accepted;
static unsigned ended_count; /* links of the router */
static char ended_reason[ROUTER_TEXT_LIMIT + 1];

static void on_pulse(uv_timer_t *timer)
{
    (void)timer;
    pulses++;
}

static void run_once(void)
{
    if (pulses > WAIT_LIMIT_MS / PULSE_MS)
        fail_msg("never");
    uv_run(&loop.uv, UV_RUN_ONCE);
}

static void run_until(const unsigned *count, unsigned expected)
{
    for (pulses = 0; *count < expected;)
        run_once();
}

/* The router. */

static bool on_hello(struct router_link *link)
{
    (void)link;
    return true;
}

static void on_router_ready(struct router_link *link)
{
    (void)link;
}

static void on_router_frame(struct router_link *link, const struct router_frame *frame)
{
    (void)link;
    (void)frame;
}

static void on_router_closed(struct router_link *link, int error)
{
    (void)error;
    ended_count++;
    snprintf(ended_reason, sizeof(ended_reason), "%s", link->reason);
    if (accepted == link)
        accepted = NULL;
    memory_free(link);
}

static const struct router_link_events router_events = {
    .hello = on_hello,
    .ready = on_router_ready,
    .frame = on_router_frame,
    .closed = on_router_closed,
};

static void on_accepted(struct listener *from, int socket, const struct sockaddr_storage *peer)
{
    (void)peer;
    (void)from;
    accepted = memory_zeroed(1, sizeof(*accepted));
    router_link_accept(accepted, &router_host, NULL, &(struct router_arrival){.socket = socket},
                       &router_events);
}

/* Listens on the address that it has, or on any. */
static void start_router(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int yes = 1;
    char *port = strchr(address, ':');

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)(port ? strtoul(port + 1, NULL, 10) : 0));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    assert_int_equal(listener_start(&listener, &loop, fd, 16, on_accepted), 0);
    is_listening = true;
}

static void stop_listening(void)
{
    if (is_listening)
        listener_close(&listener, NULL);
    is_listening = false;
}

/* The dialer's owner. */

static struct router_link *on_create(struct router_dialer *of)
{
    (void)of;
    return memory_zeroed(1, sizeof(struct router_link));
}

static bool is_covered(struct router_dialer *of, uint64_t node)
{
    (void)of;
    return node == covered;
}

static void on_ready(struct router_dialer *of, struct router_link *link)
{
    (void)of;
    ready = link;
    ready_count++;
}

static void on_frame(struct router_dialer *of, struct router_link *link,
                     const struct router_frame *frame)
{
    (void)of;
    (void)link;
    (void)frame;
}

static void on_closed(struct router_dialer *of, struct router_link *link)
{
    (void)of;
    closed_count++;
    memory_free(link);
}

static void on_died(struct router_dialer *of, uint64_t node)
{
    (void)of;
    dead = node;
}

static void on_tried(struct router_dialer *of)
{
    (void)of;
    tried_count++;
}

static void on_closed_all(struct router_dialer *of)
{
    (void)of;
    closed_all_count++;
}

static const struct router_dialer_events events = {
    .create = on_create,
    .is_covered = is_covered,
    .ready = on_ready,
    .frame = on_frame,
    .closed = on_closed,
    .died = on_died,
    .tried = on_tried,
    .closed_all = on_closed_all,
};

static void start_dialer(const char *name)
{
    router_dialer_start(&dialer, &host, 0, &(struct option_list){1, &name}, &events);
}

static void note_missing(void *context, const struct router_dialer_missing *one)
{
    (void)context;
    snprintf(missing, sizeof(missing), "%s %s", one->address, one->error);
}

static void assert_missing(const char *error)
{
    char expected[256] = "";

    missing[0] = '\0';
    router_dialer_each_missing(&dialer, note_missing, NULL);
    if (error)
        snprintf(expected, sizeof(expected), "%s %s", address, error);
    assert_string_equal(missing, expected);
}

static int set_up(void **state)
{
    (void)state;
    ready_count = closed_count = tried_count = closed_all_count = ended_count = 0;
    covered = dead = 0;
    address[0] = ended_reason[0] = '\0';
    identity = (struct router_identity){.node = GATEWAY,
                                        .role = ROLE_GATEWAY,
                                        .name = "g",
                                        .address = "",
                                        .cluster = CLUSTER_NAME_DEFAULT,
                                        .message_limit = 1000,
                                        .queue_limit = 1000000};
    router_identity = identity;
    router_identity.node = ROUTER;
    router_identity.role = ROLE_ROUTER;
    router_identity.name = "r";
    router_identity.shards = 1;
    if (loop_init(&loop) || router_link_host_init(&host, &loop, &identity) ||
        router_link_host_init(&router_host, &loop, &router_identity) ||
        uv_timer_init(&loop.uv, &pulse))
        return -1;
    start_router();
    return uv_timer_start(&pulse, on_pulse, PULSE_MS, PULSE_MS);
}

static int tear_down(void **state)
{
    (void)state;
    router_dialer_close(&dialer);
    run_until(&closed_all_count, 1);
    stop_listening();
    if (accepted)
        router_link_close(accepted, "");
    for (pulses = 0; accepted;)
        run_once();
    router_link_host_close(&host);
    router_link_host_close(&router_host);
    uv_close((uv_handle_t *)&pulse, NULL);
    loop_deinit(&loop);
    return 0;
}

static void router_that_answers_is_linked(void **state)
{
    (void)state;
    start_dialer(address);
    run_until(&ready_count, 1);
    run_until(&tried_count, 1);
    assert_true(ready->peer.node == ROUTER);
    assert_string_equal(ready->peer.address, address);
    assert_missing(NULL);
}

static void link_that_breaks_again_and_again_is_dialed_again_and_again(void **state)
{
    (void)state;
    start_dialer(address);
    for (unsigned i = 1; i <= 5; i++) {
        run_until(&ready_count, i);
        router_link_close(ready, "broken");
        run_until(&closed_count, i);
        assert_missing("broken");
    }
    run_until(&ready_count, 6);
    assert_missing(NULL);
    assert_true(dead == 0);
}

static void router_whose_port_refuses_is_dead(void **state)
{
    (void)state;
    start_dialer(address);
    run_until(&ready_count, 1);
    stop_listening();
    router_link_close(ready, "broken");
    for (pulses = 0; dead != ROUTER;)
        run_once();
    assert_missing("connection refused");
    start_router();
    run_until(&ready_count, 2);
}

static void router_is_dead_where_another_one_answers(void **state)
{
    (void)state;
    start_dialer(address);
    run_until(&ready_count, 1);
    router_identity.node = ROUTER + 1;
    router_link_close(ready, "broken");
    run_until(&ready_count, 2);
    assert_true(dead == ROUTER);
    assert_true(ready->peer.node == ROUTER + 1);
}

static void who_turns_out_to_be_ourselves_is_told_and_not_missed(void **state)
{
    (void)state;
    router_identity.node = GATEWAY;
    start_dialer(address);
    run_until(&ended_count, 1);
    run_until(&tried_count, 1);
    assert_string_equal(ended_reason, "it is ourselves");
    assert_missing(NULL);
    assert_int_equal(ready_count, 0);
}

static void second_way_to_a_router_is_not_taken_and_it_is_told(void **state)
{
    (void)state;
    covered = ROUTER;
    start_dialer(address);
    run_until(&ended_count, 1);
    assert_string_equal(ended_reason, "there is a link already");
    assert_missing(NULL);
    covered = 0; /* the other link is gone */
    router_dialer_probe(&dialer, ROUTER);
    run_until(&ready_count, 1);
}

/* As where the resolver has no memory, or the name is none: the next time it may be different. */
static void name_that_cannot_even_be_asked_for_is_asked_for_again(void **state)
{
    static char name[] = "\xff\xff:9000";

    (void)state;
    start_dialer(name);
    run_until(&tried_count, 1);
    assert_int_equal(dialer.resolving, 0);
    assert_false(list_is_empty(&dialer.waiter.deadline.link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(router_that_answers_is_linked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(link_that_breaks_again_and_again_is_dialed_again_and_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(router_whose_port_refuses_is_dead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(router_is_dead_where_another_one_answers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_turns_out_to_be_ourselves_is_told_and_not_missed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(second_way_to_a_router_is_not_taken_and_it_is_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(name_that_cannot_even_be_asked_for_is_asked_for_again,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
