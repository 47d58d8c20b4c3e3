#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/address.h"
#include "gateway/forwarded.h"

#define PROXY    "10.0.0.1"
#define STRANGER "192.0.2.66"

static struct http_header headers[64];
static struct http_request request;
static struct networks trusted;
static struct forwarded forwarded;

static int make_request(void **state)
{
    static const char *const networks[] = {"10.0.0.0/8", "2001:db8:f::/48"};

    (void)state;
    request = (struct http_request){.method = "GET", .headers = headers};
    networks_init(&trusted, networks, 2);
    return 0;
}

static int forget_request(void **state)
{
    (void)state;
    networks_deinit(&trusted);
    return 0;
}

static void add(const char *name, const char *value)
{
    assert_true(request.header_count < sizeof(headers) / sizeof(headers[0]));
    headers[request.header_count++] = (struct http_header){name, value};
}

static void read_from(const char *peer, enum forwarded_family family)
{
    struct sockaddr_storage address = {0};

    uv_ip4_addr(peer, 5000, (struct sockaddr_in *)&address);
    forwarded_read(&request, &trusted, family, (const struct sockaddr *)&address, &forwarded);
}

static void expect_client(const char *text, const char *scheme, const char *host)
{
    char printed[ADDRESS_TEXT_LIMIT];

    address_format((const struct sockaddr *)&forwarded.address, printed);
    assert_string_equal(printed, text);
    if (scheme)
        assert_string_equal(forwarded.scheme, scheme);
    else
        assert_null(forwarded.scheme);
    assert_string_equal(forwarded.host, host);
}

/* What the proxy makes of one header alone. */
static void expect_of(enum forwarded_family family, const char *name, const char *value,
                      const char *client)
{
    char printed[ADDRESS_TEXT_LIMIT];

    request.header_count = 0;
    add(name, value);
    read_from(PROXY, family);
    address_format((const struct sockaddr *)&forwarded.address, printed);
    if (strcmp(printed, client) != 0)
        fail_msg("%s: %s gives %s", name, value, printed);
}

static void expect_x(const char *value, const char *client)
{
    expect_of(FORWARDED_X, "x-forwarded-for", value, client);
}

static void expect_standard(const char *value, const char *client)
{
    expect_of(FORWARDED_STANDARD, "FORWARDED", value, client);
}

static void peer_alone_is_the_client(void **state)
{
    (void)state;
    read_from(PROXY, FORWARDED_X);
    expect_client(PROXY ":5000", NULL, "");
    read_from(STRANGER, FORWARDED_STANDARD);
    expect_client(STRANGER ":5000", NULL, "");
}

static void strangers_are_not_believed(void **state)
{
    (void)state;
    add("X-Forwarded-For", "203.0.113.9");
    add("X-Forwarded-Proto", "https");
    add("X-Forwarded-Host", "chat.example");
    add("Forwarded", "for=203.0.113.9;proto=https;host=chat.example");
    read_from(STRANGER, FORWARDED_X);
    expect_client(STRANGER ":5000", NULL, "");
    read_from(STRANGER, FORWARDED_STANDARD);
    expect_client(STRANGER ":5000", NULL, "");
}

/* A proxy passes on what the client wrote into headers that it does not know. */
static void headers_of_the_other_family_are_not_read(void **state)
{
    (void)state;
    add("X-Forwarded-For", "203.0.113.1");
    add("X-Forwarded-Proto", "https");
    add("Forwarded", "for=203.0.113.2;host=b");
    read_from(PROXY, FORWARDED_X);
    expect_client("203.0.113.1:0", "https", "");
    read_from(PROXY, FORWARDED_STANDARD);
    expect_client("203.0.113.2:0", NULL, "b");
}

static void client_is_the_last_who_is_not_trusted(void **state)
{
    (void)state;
    expect_x("203.0.113.9", "203.0.113.9:0");
    expect_x("203.0.113.9, 10.0.0.2", "203.0.113.9:0");
    expect_x("1.1.1.1, 203.0.113.9,10.0.0.2 ,10.0.0.3", "203.0.113.9:0");
    expect_x("1.1.1.1,203.0.113.9", "203.0.113.9:0");
    expect_x("10.0.0.3, 10.0.0.2", "10.0.0.3:0"); /* a proxy's own request */
    expect_standard("for=1.1.1.1, for=203.0.113.9, for=10.0.0.2", "203.0.113.9:0");
    expect_standard("for=10.0.0.3,for=10.0.0.2", "10.0.0.3:0");
}

static void several_lines_are_one_list(void **state)
{
    (void)state;
    add("X-Forwarded-For", "1.1.1.1, 203.0.113.9");
    add("Other", "2.2.2.2");
    add("X-Forwarded-For", "10.0.0.3");
    add("X-Forwarded-For", "10.0.0.2");
    read_from(PROXY, FORWARDED_X);
    expect_client("203.0.113.9:0", NULL, "");
    request.header_count = 0;
    add("Forwarded", "for=1.1.1.1, for=203.0.113.9");
    add("Forwarded", "for=10.0.0.2");
    read_from(PROXY, FORWARDED_STANDARD);
    expect_client("203.0.113.9:0", NULL, "");
}

static void address_may_have_a_port(void **state)
{
    (void)state;
    expect_x("203.0.113.9:4711", "203.0.113.9:4711");
    expect_x("2001:db8::9", "[2001:db8::9]:0");
    expect_x("[2001:db8::9]", "[2001:db8::9]:0");
    expect_x("[2001:db8::9]:4711", "[2001:db8::9]:4711");
    expect_x("203.0.113.9, 2001:db8:f::2", "203.0.113.9:0");
    expect_standard("for=\"[2001:db8::9]:4711\"", "[2001:db8::9]:4711");
    expect_standard("for=[2001:db8::9]", "[2001:db8::9]:0"); /* without its quotes */
    expect_standard("for=\"203.0.113.9:_hidden\"", "203.0.113.9:0");
}

/* The client is then the last address that is known, which is not one that it could choose. */
static void what_is_no_address_ends_the_way(void **state)
{
    static const char *const nodes[] = {"unknown",      "_hidden",       "",
                                        "203.0.113",    "203.0.113.9.",  "2001:db8::g",
                                        "[2001:db8::9", "[203.0.113.9]", "[2001:db8::9]x",
                                        "203.0.113.9:", "2001:db8::9%1", "\xff\xfe",
                                        "localhost:80"};
    char text[200];

    (void)state;
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        expect_x(nodes[i], PROXY ":5000");
        snprintf(text, sizeof(text), "203.0.113.9, %s, 10.0.0.2", nodes[i]);
        expect_x(text, "10.0.0.2:0");
        snprintf(text, sizeof(text), "for=203.0.113.9, for=\"%s\", for=10.0.0.2", nodes[i]);
        expect_standard(text, "10.0.0.2:0");
    }
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    expect_x(text, PROXY ":5000");
    expect_standard("proto=https", PROXY ":5000");
}

static void nonsense_before_the_client_is_not_looked_at(void **state)
{
    (void)state;
    expect_x("\",,;\xff, 203.0.113.9", "203.0.113.9:0");
    add("Forwarded", "for=203.0.113.9");
    expect_standard("garbage", PROXY ":5000");
    add("Forwarded", "for=203.0.113.9");
    read_from(PROXY, FORWARDED_STANDARD);
    expect_client("203.0.113.9:0", NULL, "");
}

/* A quote that a client opens before what the proxy adds. */
static void line_that_does_not_parse_is_not_believed(void **state)
{
    static const char *const lines[] = {
        "for=\", for=203.0.113.9",
        "for=\"x, for=\"[2001:db8::9]\"",
        "for=1.1.1.1;a=\"\\, for=203.0.113.9",
        "for=1.1.1.1;for=2.2.2.2, for=203.0.113.9",
        "=x, for=203.0.113.9",
        "for = 203.0.113.9",
        "for",
        "for=",
        "for=1.1.1.1 for=203.0.113.9",
        "f\xc3\xb6r=x, for=203.0.113.9",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_standard(lines[i], PROXY ":5000");
}

static void parameters_are_found_in_any_form(void **state)
{
    (void)state;
    add("Forwarded", ", ;By=x ; FOR=\"203.0.\\113.9\"; proto=HTTPS;host=\"chat.example:8443\";,");
    read_from(PROXY, FORWARDED_STANDARD);
    expect_client("203.0.113.9:0", "https", "chat.example:8443");
}

/* Proxies by the dozen are a client's invention. */
static void way_through_one_line_has_a_limit(void **state)
{
    (void)state;
    char line[1024] = "for=203.0.113.9";
    size_t size = strlen(line);

    for (int i = 0; i < 15; i++)
        size += (size_t)snprintf(line + size, sizeof(line) - size, ", for=10.0.0.2");
    expect_standard(line, "203.0.113.9:0");
    snprintf(line + size, sizeof(line) - size, ", for=10.0.0.4");
    expect_standard(line, "10.0.0.2:0");
}

static void scheme_and_host_are_those_of_the_clients_request(void **state)
{
    (void)state;
    add("X-Forwarded-For", "1.1.1.1, 203.0.113.9, 10.0.0.2");
    add("X-Forwarded-Proto", "http, https, http");
    add("X-Forwarded-Host", "evil.example, chat.example, inner");
    read_from(PROXY, FORWARDED_X);
    expect_client("203.0.113.9:0", "https", "chat.example");
    request.header_count = 0;
    add("Forwarded", "for=1.1.1.1;host=evil.example;proto=http, "
                     "for=203.0.113.9;host=chat.example;proto=https, "
                     "for=10.0.0.2;host=inner;proto=http");
    read_from(PROXY, FORWARDED_STANDARD);
    expect_client("203.0.113.9:0", "https", "chat.example");
}

/* Set anew by a proxy, in place of being added to. */
static void scheme_and_host_may_be_one_for_all(void **state)
{
    (void)state;
    add("X-Forwarded-For", "203.0.113.9, 10.0.0.3, 10.0.0.2");
    add("X-Forwarded-Proto", "wss");
    add("X-Forwarded-Host", "chat.example");
    read_from(PROXY, FORWARDED_X);
    expect_client("203.0.113.9:0", "https", "chat.example");
}

static void scheme_or_host_that_is_none_is_not_known(void **state)
{
    (void)state;
    add("X-Forwarded-For", "203.0.113.9");
    add("X-Forwarded-Proto", "gopher");
    add("X-Forwarded-Host", "chat.example/evil@x");
    read_from(PROXY, FORWARDED_X);
    expect_client("203.0.113.9:0", NULL, "");
}

#define WITH_REQUEST(test) cmocka_unit_test_setup_teardown(test, make_request, forget_request)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_REQUEST(peer_alone_is_the_client),
        WITH_REQUEST(strangers_are_not_believed),
        WITH_REQUEST(headers_of_the_other_family_are_not_read),
        WITH_REQUEST(client_is_the_last_who_is_not_trusted),
        WITH_REQUEST(several_lines_are_one_list),
        WITH_REQUEST(address_may_have_a_port),
        WITH_REQUEST(what_is_no_address_ends_the_way),
        WITH_REQUEST(nonsense_before_the_client_is_not_looked_at),
        WITH_REQUEST(line_that_does_not_parse_is_not_believed),
        WITH_REQUEST(parameters_are_found_in_any_form),
        WITH_REQUEST(way_through_one_line_has_a_limit),
        WITH_REQUEST(scheme_and_host_are_those_of_the_clients_request),
        WITH_REQUEST(scheme_and_host_may_be_one_for_all),
        WITH_REQUEST(scheme_or_host_that_is_none_is_not_known),
    };

    return cmocka_run_group_tests_name("forwarded", tests, NULL, NULL);
}
