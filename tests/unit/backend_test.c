/* Requests to the application's backend: their limits and their ends. The backend here is a socket
 * that takes connections and says nothing; what one says that answers is tested from outside
 * (tests/integration/backend.test.js). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"
#include "gateway/backend.h"
#include "gateway/config.h"

struct asked {
    struct backend_request request;
    int outcome; /* -1: none yet */
};

struct fixture {
    struct loop loop;
    struct config config;
    struct backend *backend;
    char url[64];
    int listener;
    struct asked asked[BACKEND_WAITING_LIMIT + 4];
};

static void on_done(struct backend_request *request)
{
    container_of(request, struct asked, request)->outcome = (int)request->outcome;
    buffer_deinit(&request->body);
    buffer_deinit(&request->answer);
}

static struct asked *ask(struct fixture *fixture, size_t index, enum backend_hook hook)
{
    struct asked *asked = &fixture->asked[index];

    *asked = (struct asked){.request = {.hook = hook, .done = on_done}, .outcome = -1};
    buffer_append_text(&asked->request.body, "{}");
    backend_ask(fixture->backend, &asked->request);
    return asked;
}

static void run_until_done(struct fixture *fixture, const struct asked *asked)
{
    while (asked->outcome < 0)
        uv_run(&fixture->loop.uv, UV_RUN_ONCE);
}

static int create(void **state)
{
    struct fixture *fixture = memory_zeroed(1, sizeof(*fixture));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    *state = fixture;
    fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fixture->listener, (struct sockaddr *)&address, size) < 0 ||
        listen(fixture->listener, 8) < 0 ||
        getsockname(fixture->listener, (struct sockaddr *)&address, &size) < 0 ||
        loop_init(&fixture->loop))
        return -1;
    snprintf(fixture->url, sizeof(fixture->url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
    fixture->config = (struct config){
        .proxy_connect = fixture->url,
        .proxy_refresh = "",
        .proxy_subscribe = "",
        .proxy_publish = "",
        .proxy_rpc = fixture->url,
        .proxy_timeout_ms = 60000,
        .proxy_concurrency = 2,
        .proxy_tls_ca = "",
    };
    fixture->backend = backend_create(&fixture->loop, &fixture->config);
    return 0;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;

    backend_close(fixture->backend);
    loop_deinit(&fixture->loop);
    close(fixture->listener);
    memory_free(fixture);
    return 0;
}

static uint64_t count(const struct fixture *fixture, enum backend_outcome outcome)
{
    return metric_read(&backend_stats(fixture->backend)->outcomes[HOOK_RPC][outcome]);
}

static void request_without_an_answer_ends_in_its_time_and_the_next_has_its_turn(void **state)
{
    struct fixture *fixture = *state;
    struct asked *first;

    fixture->config.proxy_timeout_ms = 50;
    backend_configure(fixture->backend, &fixture->config);
    first = ask(fixture, 0, HOOK_RPC);
    ask(fixture, 1, HOOK_RPC);
    fixture->config.proxy_timeout_ms = 60000;
    backend_configure(fixture->backend, &fixture->config);
    ask(fixture, 2, HOOK_RPC);
    assert_int_equal(metric_read(&backend_stats(fixture->backend)->waiting), 1);
    run_until_done(fixture, first);
    run_until_done(fixture, &fixture->asked[1]);
    assert_int_equal(first->outcome, BACKEND_TIMED_OUT);
    assert_int_equal(metric_read(&backend_stats(fixture->backend)->waiting), 0);
    assert_int_equal(metric_read(&backend_stats(fixture->backend)->under_way), 1);
    assert_int_equal(fixture->asked[2].outcome, -1);
    assert_int_equal(count(fixture, BACKEND_TIMED_OUT), 2);
}

static void time_runs_while_a_request_waits_for_its_turn(void **state)
{
    struct fixture *fixture = *state;
    struct asked *last;

    ask(fixture, 0, HOOK_RPC);
    ask(fixture, 1, HOOK_RPC);
    fixture->config.proxy_timeout_ms = 50;
    backend_configure(fixture->backend, &fixture->config);
    last = ask(fixture, 2, HOOK_RPC);
    run_until_done(fixture, last);
    assert_int_equal(last->outcome, BACKEND_TIMED_OUT);
    assert_int_equal(fixture->asked[0].outcome, -1);
}

static void backend_that_is_not_there_is_away(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked;

    close(fixture->listener);
    fixture->listener = -1;
    asked = ask(fixture, 0, HOOK_RPC);
    run_until_done(fixture, asked);
    assert_int_equal(asked->outcome, BACKEND_AWAY);
}

static void one_more_than_may_wait_is_turned_away_at_once(void **state)
{
    struct fixture *fixture = *state;
    size_t limit = BACKEND_WAITING_LIMIT + 2;

    for (size_t i = 0; i < limit; i++)
        assert_int_equal(ask(fixture, i, HOOK_RPC)->outcome, -1);
    assert_int_equal(ask(fixture, limit, HOOK_RPC)->outcome, BACKEND_BUSY);
}

static void so_is_one_whose_bytes_find_no_room(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = &fixture->asked[0];

    *asked = (struct asked){.request = {.hook = HOOK_RPC, .done = on_done}, .outcome = -1};
    memset(buffer_reserve(&asked->request.body, BACKEND_BYTES_LIMIT + 1), ' ',
           BACKEND_BYTES_LIMIT + 1);
    asked->request.body.size = BACKEND_BYTES_LIMIT + 1;
    backend_ask(fixture->backend, &asked->request);
    assert_int_equal(asked->outcome, BACKEND_BUSY);
}

static void hook_that_is_not_configured_or_not_any_more_is_cancelled(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(ask(fixture, 0, HOOK_PUBLISH)->outcome, BACKEND_CANCELLED);
    ask(fixture, 1, HOOK_CONNECT);
    ask(fixture, 2, HOOK_CONNECT);
    ask(fixture, 3, HOOK_RPC);
    fixture->config.proxy_rpc = "";
    fixture->config.proxy_concurrency = 3;
    backend_configure(fixture->backend, &fixture->config);
    assert_int_equal(fixture->asked[3].outcome, BACKEND_CANCELLED);
}

static void closing_ends_all(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 5; i++)
        ask(fixture, i, HOOK_RPC);
    uv_run(&fixture->loop.uv, UV_RUN_NOWAIT);
    backend_close(fixture->backend);
    fixture->backend = NULL;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(fixture->asked[i].outcome, BACKEND_CANCELLED);
}

static void addresses_are_http_with_a_host(void **state)
{
    static const char *const good[] = {"http://backend", "https://user:word@[::1]:8/a?b",
                                       "http://10.0.0.1:3000/hooks/connect"};
    static const char *const bad[] = {"",           "backend",       "backend:3000",
                                      "ftp://host", "file:///etc",   "http://",
                                      "http://?q",  "http://a b/",   "http://host:99999/",
                                      "HTTP",       "gopher://host", "unix:/socket"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(backend_url_is_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (backend_url_is_valid(bad[i]))
            print_error("%s\n", bad[i]);
        assert_false(backend_url_is_valid(bad[i]));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(request_without_an_answer_ends_in_its_time_and_the_next_has_its_turn),
        TEST(time_runs_while_a_request_waits_for_its_turn),
        TEST(backend_that_is_not_there_is_away),
        TEST(one_more_than_may_wait_is_turned_away_at_once),
        TEST(so_is_one_whose_bytes_find_no_room),
        TEST(hook_that_is_not_configured_or_not_any_more_is_cancelled),
        TEST(closing_ends_all),
        cmocka_unit_test(addresses_are_http_with_a_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
