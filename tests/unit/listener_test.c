#include "tests/unit/stream_fixture.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>

#include "common/listener.h"

/* A listener, and clients that connect with plain blocking sockets: the kernel takes them into its
 * queue, whatever the listener does. */

#define CROWD ((size_t)LISTENER_BATCH * 3)

static struct rlimit descriptors;

static struct listener listener;
static struct sockaddr_in address;
static int accepted[CROWD];
static struct sockaddr_storage peers[CROWD];
static size_t accepted_count;
static bool closes_on_accept;
static bool is_closed;

static int clients[CROWD];
static size_t client_count;

static void on_listener_closed(struct listener *closed)
{
    assert_ptr_equal(closed, &listener);
    is_closed = true;
}

static void on_accepted(struct listener *by, int socket, const struct sockaddr_storage *from)
{
    assert_ptr_equal(by, &listener);
    assert_true(accepted_count < CROWD);
    peers[accepted_count] = *from;
    accepted[accepted_count++] = socket;
    if (closes_on_accept)
        listener_close(&listener, on_listener_closed);
}

static void connect_clients(size_t count)
{
    for (; count > 0; count--) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        clients[client_count++] = fd;
    }
}

static int make_listener(void **state)
{
    (void)state;
    accepted_count = client_count = 0;
    closes_on_accept = is_closed = false;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &descriptors), 0);
    make_loop();
    assert_int_equal(
        listener_start(&listener, &loop, listen_tcp(&address), (int)CROWD, on_accepted), 0);
    return 0;
}

static int close_listener(void **state)
{
    setrlimit(RLIMIT_NOFILE, &descriptors);
    for (size_t i = 0; i < accepted_count; i++)
        close(accepted[i]);
    for (size_t i = 0; i < client_count; i++)
        close(clients[i]);
    listener_close(&listener, on_listener_closed);
    RUN_UNTIL(is_closed);
    return tear_down(state);
}

/* Leaves the process without a free descriptor, but for `free_count`. */
static void use_up_descriptors(unsigned free_count)
{
    int lowest_free = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    struct rlimit limit = descriptors;

    close(lowest_free);
    limit.rlim_cur = (rlim_t)lowest_free + free_count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static uint64_t errors(void)
{
    return metric_read(&listener.errors);
}

static bool is_connected(int client)
{
    struct pollfd wanted = {.fd = client, .events = POLLIN};

    return poll(&wanted, 1, 0) == 0;
}

static bool is_without_delay(int socket)
{
    int value = 0;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    return value != 0;
}

static void connections_are_handed_over_ready_for_a_loop(void **state)
{
    (void)state;
    connect_clients(3);
    RUN_UNTIL(accepted_count == 3);
    for (int i = 0; i < 3; i++) {
        assert_true(fcntl(accepted[i], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(accepted[i], F_GETFD) & FD_CLOEXEC);
        assert_true(is_without_delay(accepted[i]));
        assert_true(is_connected(clients[i]));
    }
    assert_int_equal(errors(), 0);
}

static void connections_are_handed_over_with_the_address_of_their_peer(void **state)
{
    (void)state;
    struct sockaddr_in own;
    socklen_t size = sizeof(own);

    connect_clients(1);
    RUN_UNTIL(accepted_count == 1);
    assert_int_equal(getsockname(clients[0], (struct sockaddr *)&own, &size), 0);
    assert_memory_equal(&peers[0], &own, sizeof(own));
}

static void crowd_after_many_who_came_alone_is_let_in_at_once(void **state)
{
    (void)state;
    unsigned iterations = 0;

    for (size_t i = 0; i < 40; i++) {
        connect_clients(1);
        RUN_UNTIL(accepted_count == i + 1);
    }
    connect_clients(LISTENER_BATCH);
    for (pulses = 0; accepted_count < client_count; iterations++) {
        uv_run(&loop.uv, UV_RUN_ONCE);
        assert_true(pulses <= WAIT_LIMIT_MS / PULSE_MS);
    }
    assert_true(iterations < LISTENER_BATCH / 2);
}

static void crowd_is_let_in_a_batch_at_a_time(void **state)
{
    (void)state;
    size_t before = 0;

    connect_clients(CROWD);
    for (pulses = 0; accepted_count < CROWD; before = accepted_count) {
        uv_run(&loop.uv, UV_RUN_ONCE);
        assert_true(accepted_count - before <= LISTENER_BATCH);
        assert_true(pulses <= WAIT_LIMIT_MS / PULSE_MS);
    }
}

static void connections_wait_while_there_is_no_descriptor(void **state)
{
    (void)state;
    connect_clients(2);
    use_up_descriptors(1);
    RUN_UNTIL(errors() >= 3);
    assert_int_equal(accepted_count, 1);
    assert_true(is_connected(clients[1]));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
    RUN_UNTIL(accepted_count == 2);
    connect_clients(1);
    RUN_UNTIL(accepted_count == 3);
}

/* Between two attempts the loop has nothing to do for it: the pulse comes many times. */
static void rest_is_not_spent_asking(void **state)
{
    (void)state;
    unsigned iterations = 0;
    uint64_t before;

    connect_clients(1);
    use_up_descriptors(0);
    RUN_UNTIL(errors() == 1);
    before = uv_hrtime();
    for (; errors() < 4; iterations++)
        uv_run(&loop.uv, UV_RUN_ONCE);
    /* An iteration ends with a pulse or the wheel's tick; asking would end thousands more. */
    assert_true(iterations <= (uv_hrtime() - before) / 1000000 / PULSE_MS * 2 + 10);
}

static void listener_may_be_closed_while_it_rests(void **state)
{
    (void)state;
    connect_clients(1);
    use_up_descriptors(0);
    RUN_UNTIL(errors() > 0);
    listener_close(&listener, on_listener_closed);
    RUN_UNTIL(is_closed);
    assert_int_equal(loop.wheel.count, 0);
    assert_int_equal(accepted_count, 0);
}

static void listener_may_be_closed_by_a_connection(void **state)
{
    (void)state;
    connect_clients(2);
    closes_on_accept = true;
    RUN_UNTIL(is_closed);
    assert_int_equal(accepted_count, 1);
    assert_int_equal(fcntl(listener.socket, F_GETFD), -1);
}

static void socket_that_cannot_listen_is_refused_and_closed(void **state)
{
    (void)state;
    struct listener other;
    int pipe_ends[2];

    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(listener_start(&other, &loop, pipe_ends[0], 1, on_accepted), UV_ENOTSOCK);
    assert_int_equal(fcntl(pipe_ends[0], F_GETFD), -1);
    close(pipe_ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_listener, close_listener)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_are_handed_over_ready_for_a_loop),
        TEST(connections_are_handed_over_with_the_address_of_their_peer),
        TEST(crowd_after_many_who_came_alone_is_let_in_at_once),
        TEST(crowd_is_let_in_a_batch_at_a_time),
        TEST(connections_wait_while_there_is_no_descriptor),
        TEST(rest_is_not_spent_asking),
        TEST(listener_may_be_closed_while_it_rests),
        TEST(listener_may_be_closed_by_a_connection),
        TEST(socket_that_cannot_listen_is_refused_and_closed),
    };

    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
