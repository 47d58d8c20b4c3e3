#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "gateway/api_keys.h"

static struct api_fixture fixture;
static char text[64 * 1024]; /* of the last answer */

static int set_up(void **state)
{
    (void)state;
    api_fixture_begin(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    api_fixture_end(&fixture);
    return 0;
}

/* The status of the answer, which is taken. */
static int answer(void)
{
    struct buffer *output = &fixture.exchange.output;

    while (fixture.exchange.pending)
        uv_run(&fixture.loop.uv, UV_RUN_ONCE);
    snprintf(text, sizeof(text), "%.*s", (int)output->size,
             output->data ? (const char *)output->data : "");
    buffer_deinit(output);
    assert_memory_equal(text, "HTTP/1.1 ", 9);
    return (int)strtol(text + 9, NULL, 10);
}

static const char *body(void)
{
    return strstr(text, "\r\n\r\n") + 4;
}

static int post(const char *path, const char *json)
{
    api_fixture_post(&fixture, path, json, strlen(json));
    return answer();
}

static void expect(const char *path, const char *json, const char *expected)
{
    assert_int_equal(post(path, json), 200);
    assert_string_equal(body(), expected);
}

static void data_goes_on_as_it_was_written(void **state)
{
    (void)state;
    static const char data[] =
        "{ \"b\" : 1e2, \"a\":12345678901234567890,\"\\u00e9\": \"\\u0000\" }";
    char request[256];

    snprintf(request, sizeof(request), "{\"d\\u0061ta\":%s,\"channel\":\"a\"}", data);
    assert_int_equal(post("/api/publish", request), 200);
    assert_int_equal(post("/api/history", "{\"channel\":\"a\",\"limit\":1}"), 200);
    assert_non_null(strstr(body(), "12345678901234567890"));
    assert_non_null(strstr(body(), "1e2"));
    assert_non_null(strstr(body(), "\"offset\":1"));
}

static void data_in_the_depth_is_that_of_the_command(void **state)
{
    (void)state;
    assert_int_equal(post("/api/batch", "{\"x\":[{\"commands\":[]}], \"commands\" : [ {\"publish\":"
                                        "{\"channel\":\"a\",\"data\":[1]}} , {\"publish\":"
                                        "{\"data\":\"]}\",\"channel\":\"a\"}}]}"),
                     200);
    assert_int_equal(post("/api/history", "{\"channel\":\"a\",\"limit\":9}"), 200);
    assert_non_null(strstr(body(), "{\"data\":[1],\"offset\":1,\"time\":"));
    assert_non_null(strstr(body(), "{\"data\":\"]}\",\"offset\":2,\"time\":"));
}

static void several_lines_get_a_line_each(void **state)
{
    (void)state;
    expect("/api",
           "{\"method\":\"presence_stats\",\"params\":{\"channel\":\"a\"}}\n"
           "{\"method\":\"rpc\"} {\"method\":\"disconnect\",\"params\":{}}\n\n",
           "{\"result\":{\"num_clients\":0,\"num_users\":0}}\n"
           "{\"error\":{\"code\":104,\"message\":\"method not found\"}}\n"
           "{\"error\":{\"code\":107,\"message\":\"bad request\"}}");
}

static void empty_body_is_an_empty_object(void **state)
{
    (void)state;
    assert_int_equal(post("/api/info", ""), 200);
    assert_int_equal(post("/api/info", " "), 200);
    assert_int_equal(post("/api/publish", ""), 200);
    assert_int_equal(post("/api", ""), 400);
    expect("/api/batch", "{\"commands\":[]}", "{\"replies\":[]}");
}

static void what_is_no_command_has_its_status(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{", "[]", "1", "{\"a\":1}}", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}", "{\"a\":01}",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(post("/api/publish", bad[i]), 400);
        assert_int_equal(post("/api", bad[i]), 400);
        assert_int_equal(post("/api/batch", bad[i]), 400);
    }
    assert_int_equal(post("/api/nothing", "{}"), 404);
    assert_int_equal(post("/api/batch", "{\"commands\":[{\"info\":{},\"rpc\":{}}]}"), 400);
    assert_int_equal(post("/api/batch", "{\"commands\":[{}]}"), 400);
}

static void pipelined_requests_are_answered_in_their_order(void **state)
{
    (void)state;
    static const char asks[] = "{\"channel\":\"a\"}";

    api_fixture_post(&fixture, "/api/presence_stats", asks, sizeof(asks) - 1);
    api_fixture_post(&fixture, "/api/rpc", "", 0);
    answer();
    assert_non_null(strstr(text, "num_clients"));
    assert_non_null(strstr(strstr(text, "num_clients"), "method not found"));
}

static void client_that_goes_away_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char asks[] = "{\"channel\":\"a\"}";

    api_fixture_post(&fixture, "/api/presence", asks, sizeof(asks) - 1);
    assert_non_null(fixture.exchange.pending);
    http_exchange_deinit(&fixture.exchange);
    api_fixture_open(&fixture);
    expect("/api/presence", asks, "{\"result\":{\"presence\":{}}}");
}

static void bus_that_closes_answers_what_is_asked(void **state)
{
    (void)state;
    static const char asks[] =
        "{\"commands\":[{\"presence\":{\"channel\":\"a\"}},{\"channels\":{}}]}";

    api_fixture_post(&fixture, "/api/batch", asks, sizeof(asks) - 1);
    hub_close_bus(&fixture.hub, api_fixture_closed, &fixture);
    answer();
    assert_string_equal(body(), "{\"replies\":[{\"error\":{\"code\":108,\"message\":\"not "
                                "available\"}},{\"error\":{\"code\":108,\"message\":\"not "
                                "available\"}}]}");
    while (!fixture.is_closed)
        uv_run(&fixture.loop.uv, UV_RUN_ONCE);
    expect("/api/publish", "{\"channel\":\"a\",\"data\":1}",
           "{\"error\":{\"code\":108,\"message\":\"not available\"}}");
    http_exchange_deinit(&fixture.exchange);
    hub_close(&fixture.hub);
    uv_run(&fixture.loop.uv, UV_RUN_DEFAULT);
    api_destroy(fixture.api);
    hub_deinit(&fixture.hub);
    loop_deinit(&fixture.loop);
    settings_unref(fixture.settings);
}

/* Keys. */

static int read_keys(struct api_keys **keys, const char *content)
{
    char path[] = "/tmp/carillon-keys-XXXXXX";
    int file = mkstemp(path);
    size_t size = strlen(content);
    int error;

    assert_true(file >= 0);
    assert_int_equal(write(file, content, size), size);
    close(file);
    *keys = NULL;
    error = api_keys_read(keys, path);
    unlink(path);
    return error;
}

static bool have(const struct api_keys *keys, const char *key)
{
    return api_keys_have(keys, text_of(key));
}

static void any_key_of_the_file_is_taken(void **state)
{
    (void)state;
    struct api_keys *keys;

    assert_int_equal(read_keys(&keys, "# old\r\n 0123456789abcdef \r\n\nfedcba9876543210"), 0);
    assert_true(have(keys, "0123456789abcdef"));
    assert_true(have(keys, "fedcba9876543210"));
    assert_false(have(keys, "0123456789abcde"));
    assert_false(have(keys, "0123456789abcdeg"));
    assert_false(have(keys, "# old"));
    assert_false(have(keys, ""));
    api_keys_destroy(keys);
}

static void file_without_good_keys_is_refused(void **state)
{
    (void)state;
    struct api_keys *keys;
    char many[17 * 17 + 1];

    for (size_t i = 0; i < 17; i++)
        snprintf(many + 17 * i, 18, "0123456789abcdef\n");
    assert_int_equal(read_keys(&keys, ""), UV_EINVAL);
    assert_int_equal(read_keys(&keys, "# 0123456789abcdef\n"), UV_EINVAL);
    assert_int_equal(read_keys(&keys, "0123456789abcde\n"), UV_EINVAL);
    assert_int_equal(read_keys(&keys, many), UV_EINVAL);
    assert_null(keys);
    assert_int_equal(api_keys_read(&keys, "/nonexistent"), UV_ENOENT);
}

#define WITH_API(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_API(data_goes_on_as_it_was_written),
        WITH_API(data_in_the_depth_is_that_of_the_command),
        WITH_API(several_lines_get_a_line_each),
        WITH_API(empty_body_is_an_empty_object),
        WITH_API(what_is_no_command_has_its_status),
        WITH_API(pipelined_requests_are_answered_in_their_order),
        WITH_API(client_that_goes_away_leaves_nothing_behind),
        cmocka_unit_test_setup(bus_that_closes_answers_what_is_asked, set_up),
        cmocka_unit_test(any_key_of_the_file_is_taken),
        cmocka_unit_test(file_without_good_keys_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
