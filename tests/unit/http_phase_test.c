#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http_phase.h"
#include "gateway/namespaces.h"
#include "tests/unit/rules_fixture.h"

#define HANDSHAKE_WITH(target, headers)                                                            \
    "GET " target " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"          \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" headers "\r\n"
#define HANDSHAKE(target) HANDSHAKE_WITH(target, "")
#define OFFER(text)       "Sec-WebSocket-Extensions: " text "\r\n"

static struct worker_stats stats;
static struct settings settings;
static struct session_host sessions;
static struct status status;
static struct http_phase *http;
static struct sockaddr_storage peer;
static const struct sockaddr_storage *proxy;
static bool is_tls;

static int make_phase(void **state)
{
    static const char *any[] = {"*"};

    (void)state;
    stats = (struct worker_stats){0};
    settings.config = (struct config){.base_path = "/",
                                      .lobby = "lobby",
                                      .max_header_size = 8192,
                                      .allow_origin = {.count = 1, .items = any}};
    open_to_all(&settings.config);
    settings.namespaces = namespaces_create(&settings.config);
    sessions = (struct session_host){.settings = &settings, .stats = &stats};
    http = http_phase_create(&sessions, &status, is_tls, proxy, NULL, NULL);
    return 0;
}

static int destroy_phase(void **state)
{
    (void)state;
    http_phase_destroy(http);
    http_phase_destroy(NULL);
    namespaces_destroy(settings.namespaces);
    return 0;
}

static bool feed(const char *text)
{
    return http_phase_feed(http, (const unsigned char *)text, strlen(text));
}

static void expect_output(const char *start)
{
    struct buffer *output = &http->exchange.output;

    assert_true(output->size >= strlen(start));
    assert_memory_equal(output->data, start, strlen(start));
    buffer_deinit(output);
}

static void named_headers_of_a_client_are_kept_for_the_backend(void **state)
{
    static const char *names[] = {"cookie", "X-Tenant"};
    static const char expected[] = "Cookie: a=b\0X-TENANT: blue\0";

    (void)state;
    settings.config.proxy_header = (struct option_list){2, names};
    assert_true(feed("GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                     "Cookie: a=b\r\nX-TENANT:  blue \r\nAuthorization: no\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n"));
    assert_int_equal(http->kept.size, sizeof(expected));
    assert_memory_equal(http->kept.data, expected, sizeof(expected));
}

static void handshake_is_taken_with_all_that_follows_it(void **state)
{
    (void)state;
    static const char text[] = HANDSHAKE("/ws?channel=room") "frames";

    assert_false(http_phase_feed(http, (const unsigned char *)text, 100));
    assert_true(feed(text + 100));
    assert_int_equal(http->channel_size, 4);
    assert_string_equal(http->channel, "room");
    assert_int_equal(http->early.size, 6);
    assert_memory_equal(http->early.data, "frames", 6);
    assert_memory_equal(http->accept.data, "HTTP/1.1 101 ", 13);
    assert_int_equal(http->exchange.output.size, 0);
    assert_int_equal(metric_read(&stats.handshakes_refused), 0);
}

static void channel_protocol_is_over_json_unless_protobuf_is_asked_for(void **state)
{
    (void)state;
    assert_true(feed(HANDSHAKE("/connection/websocket")));
    assert_true(http->is_client);
    assert_int_equal(http->transport, TRANSPORT_WEBSOCKET_JSON);
    destroy_phase(NULL);

    make_phase(NULL);
    assert_true(feed(HANDSHAKE("/connection/websocket?format=protobuf")));
    assert_int_equal(http->transport, TRANSPORT_WEBSOCKET_PROTOBUF);
    destroy_phase(NULL);

    make_phase(NULL);
    assert_true(feed("GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Protocol: x, centrifuge-protobuf\r\n\r\n"));
    assert_int_equal(http->transport, TRANSPORT_WEBSOCKET_PROTOBUF);
    buffer_append(&http->accept, "", 1);
    assert_non_null(strstr((const char *)http->accept.data,
                           "\r\nSec-WebSocket-Protocol: centrifuge-protobuf\r\n"));
}

static bool accepts_with(const char *header)
{
    buffer_append(&http->accept, "", 1);
    return strstr((const char *)http->accept.data, header) != NULL;
}

static void compression_is_agreed_on_where_it_is_on(void **state)
{
    (void)state;
    settings.config.compress_min = 1;
    assert_true(feed(HANDSHAKE_WITH("/ws", OFFER("permessage-deflate"))));
    assert_int_equal(http->window, DEFLATE_WIDE);
    assert_true(accepts_with("\r\nSec-WebSocket-Extensions: permessage-deflate; "));
    destroy_phase(NULL);

    make_phase(NULL);
    settings.config.compress_min = 1;
    assert_true(feed(HANDSHAKE_WITH("/connection/websocket?format=protobuf",
                                    OFFER("permessage-deflate; server_max_window_bits=12"))));
    assert_int_equal(http->window, DEFLATE_NARROW);
    assert_int_equal(http->transport, transport_of_websocket(CLIENT_PROTOBUF, DEFLATE_NARROW));
    assert_true(accepts_with("; server_max_window_bits=9\r\n"));
    destroy_phase(NULL);

    make_phase(NULL);
    assert_true(feed(HANDSHAKE_WITH("/ws", OFFER("permessage-deflate"))));
    assert_int_equal(http->window, DEFLATE_OFF);
    assert_false(accepts_with("Extensions"));
}

static void broken_list_of_extensions_is_refused(void **state)
{
    (void)state;
    assert_false(feed(HANDSHAKE_WITH("/ws", OFFER("permessage-deflate;"))));
    expect_output("HTTP/1.1 400 ");
    assert_non_null(http->refusal);
}

static void channel_that_is_not_for_everybody_is_refused(void **state)
{
    (void)state;
    assert_false(feed(HANDSHAKE("/?channel=%24private")));
    expect_output("HTTP/1.1 403 ");
    assert_string_equal(http->refusal, "channel: not for clients that say nothing of themselves");
}

static void requests_before_the_handshake_are_answered(void **state)
{
    (void)state;
    assert_false(feed("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"));
    expect_output("HTTP/1.1 200 ");
    assert_false(http->exchange.must_end);
    assert_true(feed(HANDSHAKE("/")));
    assert_string_equal(http->channel, "lobby");
    assert_int_equal(metric_read(&stats.http_requests), 1);
}

static void refused_handshake_ends_it(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 "},
        {"GET /ws HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {HANDSHAKE("/elsewhere"), "HTTP/1.1 404 "},
        {HANDSHAKE("/ws?channel="), "HTTP/1.1 400 "},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        destroy_phase(NULL);
        make_phase(NULL);
        assert_false(feed(cases[i].request));
        expect_output(cases[i].answer);
        assert_true(http->exchange.must_end);
        assert_false(feed("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_int_equal(http->exchange.output.size, 0);
        assert_int_equal(metric_read(&stats.handshakes_refused), 1);
        assert_int_equal(metric_read(&stats.http_requests), 0);
    }
}

static bool is_client_at(const char *host)
{
    struct sockaddr_in expected;

    uv_ip4_addr(host, 5000, &expected);
    return memcmp(&http->proxied->forwarded.address, &expected, sizeof(expected)) == 0;
}

static void handshake_is_its_clients_by_the_word_of_a_trusted_proxy(void **state)
{
    static const char text[] = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                               "X-Forwarded-For: 203.0.113.9:5000\r\n\r\n";
    const char *networks[] = {"10.0.0.0/8"};

    (void)state;
    networks_init(&settings.trusted, networks, 1);
    for (int is_trusted = 0; is_trusted < 2; is_trusted++) {
        destroy_phase(NULL);
        uv_ip4_addr(is_trusted ? "10.0.0.1" : "192.0.2.66", 5000, (struct sockaddr_in *)&peer);
        proxy = &peer;
        make_phase(NULL);
        proxy = NULL;
        assert_true(feed(text));
        assert_true(is_client_at(is_trusted ? "203.0.113.9" : "192.0.2.66"));
    }
    networks_deinit(&settings.trusted);
}

static void everything_lies_below_the_base(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *answer;
    } cases[] = {{"/chat/health", "HTTP/1.1 200 "}, {"/chat/ws", "HTTP/1.1 426 "},
                 {"/chat", "HTTP/1.1 308 "},        {"/", "HTTP/1.1 404 "},
                 {"/health", "HTTP/1.1 404 "},      {"/ws", "HTTP/1.1 404 "},
                 {"/chats/health", "HTTP/1.1 404 "}};
    char request[200];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        destroy_phase(NULL);
        make_phase(NULL);
        settings.config.base_path = "/chat";
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].target);
        assert_false(feed(request));
        expect_output(cases[i].answer);
    }
}

static void base_without_its_slash_leads_to_it(void **state)
{
    (void)state;
    settings.config.base_path = "/chat";
    assert_false(feed("GET /chat?channel=a%20b HTTP/1.1\r\nHost: a\r\n\r\n"));
    buffer_append(&http->exchange.output, "", 1);
    assert_non_null(
        strstr((const char *)http->exchange.output.data, "\r\nLocation: /chat/?channel=a%20b\r\n"));
    buffer_deinit(&http->exchange.output);
    assert_false(feed("GET /chat HTTP/1.1\r\n\r\n"));
    expect_output("HTTP/1.1 400 ");
}

static void websocket_is_at_the_base_in_every_form(void **state)
{
    (void)state;
    static const char *const requests[] = {HANDSHAKE("/chat"), HANDSHAKE("/chat/"),
                                           HANDSHAKE("/chat/ws")};

    for (size_t i = 0; i < 3; i++) {
        destroy_phase(NULL);
        make_phase(NULL);
        settings.config.base_path = "/chat";
        assert_true(feed(requests[i]));
    }
    destroy_phase(NULL);
    make_phase(NULL);
    settings.config.base_path = "/chat";
    assert_false(feed(HANDSHAKE("/ws")));
    expect_output("HTTP/1.1 404 ");
}

/* Makes a phase, of a proxy or not, and says whether this request's answer demands TLS. */
static bool demands_tls(bool over_tls, bool is_of_proxy, const char *request)
{
    struct buffer *output;
    bool is_there;

    destroy_phase(NULL);
    is_tls = over_tls;
    uv_ip4_addr("10.0.0.1", 5000, (struct sockaddr_in *)&peer);
    proxy = is_of_proxy ? &peer : NULL;
    make_phase(NULL);
    is_tls = false;
    proxy = NULL;
    settings.config.hsts_ms = 60000;
    output = feed(request) ? &http->accept : &http->exchange.output;
    buffer_append(output, "", 1);
    is_there =
        strstr((const char *)output->data, "\r\nStrict-Transport-Security: max-age=60\r\n") != NULL;
    buffer_deinit(output);
    return is_there;
}

static void tls_is_demanded_where_the_client_speaks_it(void **state)
{
    (void)state;
    static const char *const plain[] = {"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
                                        "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
                                        HANDSHAKE("/elsewhere"), HANDSHAKE("/ws")};
    static const char https[] =
        "GET /health HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n";
    static const char http_only[] =
        "GET /health HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\n\r\n";
    const char *networks[] = {"10.0.0.0/8"};

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        assert_true(demands_tls(true, false, plain[i]));
        assert_false(demands_tls(false, false, plain[i]));
    }
    networks_init(&settings.trusted, networks, 1);
    assert_true(demands_tls(false, true, https));
    assert_false(demands_tls(false, false, https));
    assert_false(demands_tls(true, true, http_only));
    assert_true(demands_tls(true, true, plain[0]));
    assert_false(demands_tls(false, true, plain[0]));
    networks_deinit(&settings.trusted);
}

#define WITH_PHASE(test) cmocka_unit_test_setup_teardown(test, make_phase, destroy_phase)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PHASE(named_headers_of_a_client_are_kept_for_the_backend),
        WITH_PHASE(handshake_is_taken_with_all_that_follows_it),
        WITH_PHASE(channel_protocol_is_over_json_unless_protobuf_is_asked_for),
        WITH_PHASE(compression_is_agreed_on_where_it_is_on),
        WITH_PHASE(broken_list_of_extensions_is_refused),
        WITH_PHASE(channel_that_is_not_for_everybody_is_refused),
        WITH_PHASE(requests_before_the_handshake_are_answered),
        WITH_PHASE(refused_handshake_ends_it),
        WITH_PHASE(everything_lies_below_the_base),
        WITH_PHASE(base_without_its_slash_leads_to_it),
        WITH_PHASE(websocket_is_at_the_base_in_every_form),
        WITH_PHASE(tls_is_demanded_where_the_client_speaks_it),
        WITH_PHASE(handshake_is_its_clients_by_the_word_of_a_trusted_proxy),
    };

    return cmocka_run_group_tests_name("http_phase", tests, NULL, NULL);
}
