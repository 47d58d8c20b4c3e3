/* What the application's backend is asked, and what its answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/hook_message.h"

static void assert_body(const struct hook_question *question, const char *expected)
{
    struct buffer body = {0};

    hook_question_write(&body, question);
    buffer_append(&body, "", 1);
    assert_string_equal((const char *)body.data, expected);
    buffer_deinit(&body);
}

static void question_has_what_is_known_and_nothing_else(void **state)
{
    struct hook_question question = {
        .hook = HOOK_CONNECT,
        .client = {"c\"1", 3},
        .transport = "websocket",
        .name = {"js", 2},
        .data = {"{ \"a\": 1e99 }", 13},
    };

    (void)state;
    assert_body(&question,
                "{\"client\":\"c\\\"1\",\"transport\":\"websocket\",\"protocol\":\"json\","
                "\"encoding\":\"json\",\"name\":\"js\",\"data\":{ \"a\": 1e99 }}");
    question = (struct hook_question){
        .hook = HOOK_PUBLISH,
        .client = {"c", 1},
        .transport = "sse",
        .format = CLIENT_PROTOBUF,
        .channel = {"room", 4},
        .data = {"\0\xff", 2},
        .meta = {"[1]", 3},
    };
    assert_body(&question, "{\"client\":\"c\",\"transport\":\"sse\",\"protocol\":\"protobuf\","
                           "\"encoding\":\"binary\",\"user\":\"\",\"channel\":\"room\","
                           "\"b64data\":\"AP8=\",\"meta\":[1]}");
}

static struct hook_answer read_answer(enum backend_hook hook, const char *body)
{
    struct hook_answer answer;

    hook_answer_read(&answer, hook, text_of(body));
    return answer;
}

static void connect_says_who_a_client_is(void **state)
{
    struct hook_answer answer = read_answer(
        HOOK_CONNECT,
        " {\"result\": {\"user\": \"ann\", \"expire_at\": 2000000000, \"info\": {\"n\": 1},"
        "\"meta\": [2], \"data\": {\"big\": 1.50}, \"channels\": [\"news\"],"
        "\"subs\": {\"room\": {\"b64data\": \"WzNd\"}}, \"unknown\": {}}, \"error\": null} ");

    (void)state;
    assert_int_equal(answer.verdict, HOOK_RESULT);
    assert_true(answer.has_result);
    assert_string_equal(answer.claims.user, "ann");
    assert_int_equal(answer.claims.expires_at_s, 2000000000);
    assert_string_equal(answer.claims.info, "{\"n\":1}");
    assert_string_equal(answer.claims.meta, "[2]");
    assert_string_equal(answer.data, "{\"big\": 1.50}");
    assert_int_equal(answer.claims.sub_count, 2);
    assert_string_equal(answer.claims.subs[0].channel, "news");
    assert_string_equal(answer.claims.subs[1].channel, "room");
    assert_string_equal(answer.claims.subs[1].data, "[3]");
    hook_answer_deinit(&answer);
}

static void results_of_other_hooks_are_read(void **state)
{
    struct hook_answer answer =
        read_answer(HOOK_SUBSCRIBE, "{\"result\":{\"expire_at\":9,\"override\":"
                                    "{\"presence\":{\"value\":false}}}}");

    (void)state;
    assert_int_equal(answer.claims.expires_at_s, 9);
    assert_true(answer.claims.has_override[TOKEN_OVERRIDE_PRESENCE]);
    assert_false(answer.claims.override[TOKEN_OVERRIDE_PRESENCE]);
    hook_answer_deinit(&answer);

    answer = read_answer(HOOK_REFRESH, "{\"result\":{\"expired\":true,\"data\":7}}");
    assert_true(answer.is_expired);
    assert_null(answer.data);
    hook_answer_deinit(&answer);

    answer = read_answer(HOOK_PUBLISH, "{\"result\":{\"skip_history\":true,\"b64data\":\"AAE=\"}}");
    assert_true(answer.skip_history);
    assert_int_equal(answer.data_size, 2);
    assert_memory_equal(answer.data, "\0\1", 2);
    hook_answer_deinit(&answer);

    answer = read_answer(HOOK_RPC, "{\"result\":{\"data\":123456789012345678901234567890}}");
    assert_string_equal(answer.data, "123456789012345678901234567890");
    hook_answer_deinit(&answer);

    answer = read_answer(HOOK_PUBLISH, "{}");
    assert_int_equal(answer.verdict, HOOK_RESULT);
    assert_false(answer.has_result);
    hook_answer_deinit(&answer);
}

static void refusals_are_read_and_a_disconnect_goes_first(void **state)
{
    struct hook_answer answer =
        read_answer(HOOK_RPC, "{\"error\":{\"code\":1000,\"message\":\"no\",\"temporary\":true},"
                              "\"result\":{}}");

    (void)state;
    assert_int_equal(answer.verdict, HOOK_ERROR);
    assert_int_equal(answer.code, 1000);
    assert_string_equal(answer.text, "no");
    assert_true(answer.is_temporary);
    assert_false(answer.has_result);
    hook_answer_deinit(&answer);

    answer = read_answer(HOOK_RPC, "{\"error\":{\"code\":1000},\"disconnect\":{\"code\":4999}}");
    assert_int_equal(answer.verdict, HOOK_DISCONNECT);
    assert_int_equal(answer.code, 4999);
    assert_string_equal(answer.text, "");
    hook_answer_deinit(&answer);
}

static void answer_that_is_none_is_bad_with_a_reason(void **state)
{
    static const struct {
        enum backend_hook hook;
        const char *body;
    } bad[] = {
        {HOOK_RPC, ""},
        {HOOK_RPC, "null"},
        {HOOK_RPC, "[]"},
        {HOOK_RPC, "\"result\""},
        {HOOK_RPC, "{\"result\":{}"},
        {HOOK_RPC, "{\"result\":{}} {}"},
        {HOOK_RPC, "{\"result\":[]}"},
        {HOOK_RPC, "{\"result\":true}"},
        {HOOK_RPC, "{\"result\":{},\"result\":{}}"},
        {HOOK_RPC, "{\"result\":{\"data\":1,\"data\":2}}"},
        {HOOK_RPC, "{\"result\":{\"b64data\":\"###\"}}"},
        {HOOK_RPC, "{\"result\":{\"b64data\":7}}"},
        {HOOK_RPC, "{\"error\":{}}"},
        {HOOK_RPC, "{\"error\":\"no\"}"},
        {HOOK_RPC, "{\"error\":{\"code\":0}}"},
        {HOOK_RPC, "{\"error\":{\"code\":99}}"},
        {HOOK_RPC, "{\"error\":{\"code\":4294967296}}"},
        {HOOK_RPC, "{\"error\":{\"code\":\"400\"}}"},
        {HOOK_RPC, "{\"error\":{\"code\":400,\"message\":{}}}"},
        {HOOK_RPC, "{\"disconnect\":{\"code\":1000}}"},
        {HOOK_RPC, "{\"disconnect\":{\"code\":5000}}"},
        {HOOK_RPC, "{\"disconnect\":{\"code\":4000,\"reason\":1}}"},
        {HOOK_RPC, "{\"disconnect\":{\"code\":4000,\"code\":4001}}"},
        {HOOK_PUBLISH, "{\"result\":{\"skip_history\":1}}"},
        {HOOK_REFRESH, "{\"result\":{\"expired\":\"true\"}}"},
        {HOOK_REFRESH, "{\"result\":{\"expire_at\":\"soon\"}}"},
        {HOOK_REFRESH, "{\"result\":{\"expire_at\":-1}}"},
        {HOOK_CONNECT, "{\"result\":{\"user\":5}}"},
        {HOOK_CONNECT, "{\"result\":{\"user\":null}}"},
        {HOOK_CONNECT, "{\"result\":{\"user\":\"a\",\"user\":\"b\"}}"},
        {HOOK_CONNECT, "{\"result\":{\"channels\":\"news\"}}"},
        {HOOK_CONNECT, "{\"result\":{\"channels\":[\"\"]}}"},
        {HOOK_CONNECT, "{\"result\":{\"subs\":[]}}"},
        {HOOK_CONNECT, "{\"result\":{\"subs\":{\"a\":{\"b64info\":\"eA==\"}}}}"},
        {HOOK_CONNECT, "{\"result\":{\"b64info\":\"eA==\"}}"},
        {HOOK_CONNECT, "{\"result\":{\"b64data\":\"eA==\"}}"},
        {HOOK_SUBSCRIBE, "{\"result\":{\"override\":{\"presence\":true}}}"},
        {HOOK_SUBSCRIBE, "{\"result\":{\"info\":\"\xff\"}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct hook_answer answer = read_answer(bad[i].hook, bad[i].body);

        if (answer.verdict != HOOK_BAD)
            print_error("%s\n", bad[i].body);
        assert_int_equal(answer.verdict, HOOK_BAD);
        assert_non_null(answer.problem);
        assert_null(answer.data);
        hook_answer_deinit(&answer);
    }
}

static void every_outcome_and_hook_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < HOOK_COUNT; i++)
        assert_non_null(backend_hook_name((enum backend_hook)i));
    for (int i = 0; i < BACKEND_OUTCOMES; i++)
        assert_non_null(backend_outcome_name((enum backend_outcome)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(question_has_what_is_known_and_nothing_else),
        cmocka_unit_test(connect_says_who_a_client_is),
        cmocka_unit_test(results_of_other_hooks_are_read),
        cmocka_unit_test(refusals_are_read_and_a_disconnect_goes_first),
        cmocka_unit_test(answer_that_is_none_is_bad_with_a_reason),
        cmocka_unit_test(every_outcome_and_hook_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
