#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/config.h"

/* Values that fit together, for each test to spoil. */
static struct config config;

static int make_config(void **state)
{
    static const char *any[] = {"*"};

    (void)state;
    config = (struct config){
        .listen = "0.0.0.0:8000",
        .tls_listen = "off",
        .admin_listen = "127.0.0.1:8001",
        .lobby = "lobby",
        .router_cluster = "carillon",
        .base_path = "/",
        .bus_buffer_bytes = 16 << 20,
        .max_message_size = 64 << 10,
        .send_queue_limit = 1 << 20,
        .rules = {.message_rate = 100, .message_burst = 200},
        .private_prefix = "$",
        .personal_prefix = "#",
        .allow_origin = {1, any},
        .proxy_connect = "",
        .proxy_refresh = "",
        .proxy_subscribe = "",
        .proxy_publish = "",
        .proxy_rpc = "",
    };
    return 0;
}

static char problems[8][OPTION_ERROR_LIMIT];
static size_t problem_count;

static void note(void *context, const char *problem)
{
    (void)context;
    assert_true(problem_count < 8);
    snprintf(problems[problem_count++], OPTION_ERROR_LIMIT, "%s", problem);
}

static void check(void)
{
    problem_count = 0;
    config_check(&config, note, NULL);
}

static void expect_good(void)
{
    check();
    if (problem_count > 0)
        fail_msg("refused: %s", problems[0]);
}

/* The line must begin with the name of the option that is wrong. */
static void expect_bad(const char *option)
{
    check();

    const char *wrong = problem_count == 1 ? problems[0] : "none, or several";

    if (strncmp(wrong, option, strlen(option)) != 0 || wrong[strlen(option)] != ':')
        fail_msg("expected a complaint about %s, got: %s", option, wrong);
}

static void values_that_fit_pass(void **state)
{
    (void)state;
    expect_good();
}

static void listeners_are_numeric_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1:0", "[::1]:8000", "*:8000", ":8000"};
    static const char *const bad[] = {
        "8000", "localhost:8000", "127.0.0.1", "127.0.0.1:65536", "::1:8000:x", "off"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        config.listen = config.admin_listen = good[i];
        expect_good();
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        config.listen = bad[i];
        expect_bad("--listen");
        config.listen = ":8000";
        if (strcmp(bad[i], "off") == 0)
            continue;
        config.admin_listen = bad[i];
        expect_bad("--admin-listen");
        config.admin_listen = ":8001";
    }
}

static void each_thing_that_is_wrong_is_told(void **state)
{
    (void)state;
    config.listen = "somewhere";
    config.base_path = "chat";
    config.bus_buffer_bytes = 1;
    config.tls_listen = "somewhere";
    config.bus_tls_cert.count = 2;
    check();
    assert_int_equal(problem_count, 6); /* a listener with TLS has no certificate, either */
}

static void base_is_a_path(void **state)
{
    (void)state;
    config.base_path = "/chat";
    expect_good();
    config.base_path = "/chat/";
    expect_bad("--base-path");
}

static void proxies_are_trusted_by_network(void **state)
{
    (void)state;
    const char *networks[] = {"10.0.0.0/8", "::1"};

    config.trusted_proxy = (struct option_list){2, networks};
    config.proxy_protocol = true;
    expect_good();
    networks[1] = "10.0.0.1/8";
    expect_bad("--trusted-proxy");
    networks[1] = "proxy.example";
    expect_bad("--trusted-proxy");
}

static void nobody_speaks_the_proxy_protocol_unless_trusted(void **state)
{
    (void)state;
    config.proxy_protocol = true;
    expect_bad("--proxy-protocol");
}

static void admin_listener_can_be_off(void **state)
{
    (void)state;
    config.admin_listen = "off";
    expect_good();
}

static void lobby_is_a_channel_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a\nb", "a\x7f", "\xc2\x85", "\xff", "a\xc3"};

    config.lobby = "gr\xc3\xbc\xc3\x9f dich:1#2";
    expect_good();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        config.lobby = bad[i];
        expect_bad("--lobby");
    }
}

static void router_cluster_is_a_short_printable_name(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "a\nb", "\xff", "12345678901234567890123456789012345678901234567890123456789012345"};

    config.router_cluster = "Gel\xc3\xa4ut 1";
    expect_good();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        config.router_cluster = bad[i];
        expect_bad("--router-cluster");
    }
}

/* What a client that reads well may be sent at once: a tick, with a message over its size, and the
 * message behind it. */
static void send_queue_holds_what_comes_at_once(void **state)
{
    (void)state;
    config.send_queue_limit = (128 << 10) + 2 * config.max_message_size;
    expect_good();
    config.send_queue_limit--;
    expect_bad("--send-queue-limit");
    config.max_message_size = 1;
    expect_good();
}

static void bus_buffer_holds_the_largest_message(void **state)
{
    (void)state;
    config.bus_buffer_bytes = config.max_message_size + 128;
    expect_good();
    config.bus_buffer_bytes--;
    expect_bad("--bus-buffer");
}

static void rate_needs_a_burst(void **state)
{
    (void)state;
    config.rules.message_burst = 0;
    expect_bad("--message-burst");
    config.rules.message_rate = 0;
    expect_good();
}

/* A pattern that no origin can match would turn every page away without a word. */
static void origins_are_patterns(void **state)
{
    (void)state;
    static const char *items[] = {"same", "https://*.example.org"};

    config.allow_origin = (struct option_list){2, items};
    expect_good();
    items[1] = "example.org";
    expect_bad("--allow-origin");
    items[1] = "https://example.org/";
    expect_bad("--allow-origin");
    config.allow_origin.count = 0;
    expect_good();
}

static void defaults_fit_together(void **state)
{
    (void)state;
    char *arguments[] = {"carillon-gateway", NULL};
    char *environment[] = {NULL};
    char error[OPTION_ERROR_LIMIT];

    config = (struct config){0};
    assert_int_equal(options_load(&config_program, &config, 1, arguments, environment, error),
                     OPTION_RUN);
    expect_good();
    options_free(&config_program, &config);
}

static void tls_needs_certificates_and_their_keys(void **state)
{
    (void)state;
    static const char *files[] = {"one.pem", "two.pem"};

    config.tls_listen = "0.0.0.0:8443";
    expect_bad("--tls-listen");
    config.tls_cert = (struct option_list){2, files};
    config.tls_key = (struct option_list){1, files};
    expect_bad("--tls-key");
    config.tls_key.count = 2;
    expect_good();
    config.listen = "off";
    expect_good();
    config.tls_listen = "localhost:8443";
    expect_bad("--tls-listen");
    config.tls_listen = "off";
    expect_bad("--listen");
    config.listen = "0.0.0.0:8000";
    config.bus_tls_cert = (struct option_list){1, files};
    expect_bad("--bus-tls-key");
    config.bus_tls_key = config.bus_tls_cert;
    expect_good();
    config.bus_tls_cert.count = 2;
    expect_bad("--bus-tls-cert");
}

static void addresses_of_a_backend_are_http(void **state)
{
    (void)state;
    config.proxy_connect = "https://backend/hooks";
    config.proxy_rpc = "http://user:word@[::1]:3000/";
    expect_good();
    config.proxy_rpc = "backend:3000";
    expect_bad("--proxy-rpc");
}

static void channels_ask_a_backend_that_is_there(void **state)
{
    (void)state;
    config.rules.subscribe_proxy = true;
    expect_bad("--subscribe-proxy");
    config.proxy_subscribe = "http://backend/";
    expect_good();
    config.rules.publish_proxy = true;
    expect_bad("--publish-proxy");
    config.proxy_publish = "http://backend/";
    expect_good();
}

static void headers_for_a_backend_are_names_that_mean_the_client(void **state)
{
    static const char *const bad[] = {"",     "Cookie:",        "a b",     "Host",
                                      "host", "Content-Length", "Upgrade", "Sec-WebSocket-Key"};
    static const char *names[] = {"Cookie", "X-Tenant"};

    (void)state;
    config.proxy_header = (struct option_list){2, names};
    expect_good();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        names[1] = bad[i];
        expect_bad("--proxy-header");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(values_that_fit_pass, make_config),
        cmocka_unit_test_setup(tls_needs_certificates_and_their_keys, make_config),
        cmocka_unit_test_setup(listeners_are_numeric_addresses, make_config),
        cmocka_unit_test_setup(each_thing_that_is_wrong_is_told, make_config),
        cmocka_unit_test_setup(base_is_a_path, make_config),
        cmocka_unit_test_setup(proxies_are_trusted_by_network, make_config),
        cmocka_unit_test_setup(nobody_speaks_the_proxy_protocol_unless_trusted, make_config),
        cmocka_unit_test_setup(admin_listener_can_be_off, make_config),
        cmocka_unit_test_setup(lobby_is_a_channel_name, make_config),
        cmocka_unit_test_setup(router_cluster_is_a_short_printable_name, make_config),
        cmocka_unit_test_setup(send_queue_holds_what_comes_at_once, make_config),
        cmocka_unit_test_setup(bus_buffer_holds_the_largest_message, make_config),
        cmocka_unit_test(defaults_fit_together),
        cmocka_unit_test_setup(rate_needs_a_burst, make_config),
        cmocka_unit_test_setup(origins_are_patterns, make_config),
        cmocka_unit_test_setup(addresses_of_a_backend_are_http, make_config),
        cmocka_unit_test_setup(channels_ask_a_backend_that_is_there, make_config),
        cmocka_unit_test_setup(headers_for_a_backend_are_names_that_mean_the_client, make_config),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
