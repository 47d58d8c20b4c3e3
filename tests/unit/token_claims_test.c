#include "token_fixture.h"

/* What tokens say, signed by those who may. */

struct claim_case {
    const char *payload;
    const char *problem;
};

static struct token_verifier *make_plain_verifier(void)
{
    return make_verifier(
        &(struct token_options){.hmac_secret_file = write_file("secret", SECRET "\n")});
}

static enum token_outcome read_connection(const struct token_verifier *verifier,
                                          const char *payload, struct token_claims *claims)
{
    char *token = make_token(&hs256, payload);
    enum token_outcome outcome = token_read_connection(verifier, text_of(token), NOW, claims);

    memory_free(token);
    return outcome;
}

static enum token_outcome read_subscription(const struct token_verifier *verifier,
                                            const char *payload, struct token_claims *claims)
{
    char *token = make_token(&hs256, payload);
    enum token_outcome outcome = token_read_subscription(verifier, text_of(token), NOW, claims);

    memory_free(token);
    return outcome;
}

static void expect_outcome(const struct token_verifier *verifier, const char *payload,
                           enum token_outcome expected)
{
    struct token_claims claims;
    enum token_outcome outcome = read_connection(verifier, payload, &claims);

    if (outcome != expected)
        fail_msg("%s: %s", payload, claims.problem ? claims.problem : "valid");
    token_claims_deinit(&claims);
}

static void check_cases(const struct token_verifier *verifier, const struct claim_case *cases,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *token = make_token(&hs256, cases[i].payload);

        expect_invalid(verifier, token, cases[i].problem);
        memory_free(token);
    }
}

static void everything_that_a_connection_is_told_is_read(void **state)
{
    struct token_verifier *verifier = make_plain_verifier();
    struct token_claims claims;

    (void)state;
    assert_int_equal(
        read_connection(verifier,
                        "{\"sub\":\"ann\",\"exp\":1700000100,\"info\":{\"b\": 0.1,\n \"a\":[1,2]},"
                        "\"meta\": {\"plan\":\"gold\"},\"channels\":[\"news\",\"chat:1\",\"news\"],"
                        "\"subs\":{\"own\":{\"info\":7,\"data\":\"hi\","
                        "\"override\":{\"presence\":{\"value\":true},\"join_leave\":{},"
                        "\"force_push_join_leave\":{\"value\":false},\"other\":1}},"
                        "\"chat:1\":{\"b64info\":\"AP8=\",\"b64data\":\"e30=\"},\"bare\":null}}",
                        &claims),
        TOKEN_VALID);
    assert_string_equal(claims.user, "ann");
    assert_int_equal(claims.expires_at_s, 1700000100);
    assert_string_equal(claims.info, "{\"b\":0.1,\"a\":[1,2]}");
    assert_int_equal(claims.info_size, strlen(claims.info));
    assert_string_equal(claims.meta, "{\"plan\":\"gold\"}");
    assert_int_equal(claims.sub_count, 4);
    assert_string_equal(claims.subs[0].channel, "news");
    assert_null(claims.subs[0].info);

    const struct token_sub *chat = &claims.subs[1];

    assert_string_equal(chat->channel, "chat:1");
    assert_int_equal(chat->info_size, 2);
    assert_memory_equal(chat->info, "\0\xff", 3);
    assert_string_equal(chat->data, "{}");

    const struct token_sub *own = &claims.subs[2];

    assert_string_equal(own->channel, "own");
    assert_string_equal(own->info, "7");
    assert_string_equal(own->data, "\"hi\"");
    assert_true(own->has_override[TOKEN_OVERRIDE_PRESENCE] &&
                own->override[TOKEN_OVERRIDE_PRESENCE]);
    assert_true(own->has_override[TOKEN_OVERRIDE_JOIN_LEAVE]);
    assert_false(own->override[TOKEN_OVERRIDE_JOIN_LEAVE]);
    assert_false(own->has_override[TOKEN_OVERRIDE_FORCE_RECOVERY]);
    assert_true(own->has_override[TOKEN_OVERRIDE_FORCE_PUSH_JOIN_LEAVE]);
    assert_string_equal(claims.subs[3].channel, "bare");
    token_claims_deinit(&claims);
    token_verifier_destroy(verifier);
}

static void everything_that_a_subscription_is_told_is_read(void **state)
{
    struct token_verifier *verifier = make_plain_verifier();
    struct token_claims claims;

    (void)state;
    assert_int_equal(
        read_subscription(verifier,
                          "{\"sub\":\"ann\",\"channel\":\"$secret\",\"client\":\"c1\","
                          "\"exp\":1700000100,\"expire_at\":0,\"info\":{\"a\":1},\"b64info\":\"\","
                          "\"data\":[1],\"override\":{\"force_recovery\":{\"value\":true}}}",
                          &claims),
        TOKEN_VALID);
    assert_string_equal(claims.user, "ann");
    assert_string_equal(claims.channel, "$secret");
    assert_string_equal(claims.client, "c1");
    assert_string_equal(claims.info, "{\"a\":1}");
    assert_string_equal(claims.data, "[1]");
    assert_int_equal(claims.expires_at_s, 0);
    assert_true(claims.has_override[TOKEN_OVERRIDE_FORCE_RECOVERY] &&
                claims.override[TOKEN_OVERRIDE_FORCE_RECOVERY]);
    token_claims_deinit(&claims);
    token_verifier_destroy(verifier);
}

static void token_without_a_user_is_anonymous(void **state)
{
    struct token_verifier *verifier = make_plain_verifier();
    struct token_claims claims;

    (void)state;
    assert_int_equal(read_connection(verifier, "{}", &claims), TOKEN_VALID);
    assert_string_equal(claims.user, "");
    assert_int_equal(claims.expires_at_s, 0);
    token_claims_deinit(&claims);
    token_verifier_destroy(verifier);
}

static void user_may_be_another_claim(void **state)
{
    struct token_verifier *verifier = make_verifier(&(struct token_options){
        .hmac_secret_file = write_file("secret", SECRET), .user_id_claim = "user_id"});
    struct token_claims claims;

    (void)state;
    assert_int_equal(read_connection(verifier, "{\"sub\":\"x\",\"user_id\":\"ann\"}", &claims),
                     TOKEN_VALID);
    assert_string_equal(claims.user, "ann");
    token_claims_deinit(&claims);
    token_verifier_destroy(verifier);
}

static void times_are_kept_with_leeway(void **state)
{
    struct token_verifier *verifier = make_verifier(
        &(struct token_options){.hmac_secret_file = write_file("secret", SECRET), .leeway_s = 10});
    char payload[128];

    (void)state;
    static const struct {
        const char *claim;
        int offset_s;
        enum token_outcome outcome;
    } cases[] = {
        {"exp", 1, TOKEN_VALID},     {"exp", -9, TOKEN_VALID},        {"exp", -10, TOKEN_EXPIRED},
        {"exp", -99, TOKEN_EXPIRED}, {"nbf", 10, TOKEN_VALID},        {"nbf", 11, TOKEN_INVALID},
        {"nbf", -99, TOKEN_VALID},   {"iat", 10, TOKEN_VALID},        {"iat", 11, TOKEN_INVALID},
        {"iat", -99, TOKEN_VALID},   {"expire_at", -99, TOKEN_VALID},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(payload, sizeof(payload), "{\"%s\":%d}", cases[i].claim, NOW + cases[i].offset_s);
        expect_outcome(verifier, payload, cases[i].outcome);
        snprintf(payload, sizeof(payload), "{\"%s\":%d.0}", cases[i].claim,
                 NOW + cases[i].offset_s);
        expect_outcome(verifier, payload, cases[i].outcome);
    }
    expect_outcome(verifier, "{\"exp\":0}", TOKEN_EXPIRED);
    expect_outcome(verifier, "{\"exp\":253402300799}", TOKEN_VALID);
    token_verifier_destroy(verifier);
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const claims[] = {"exp", "nbf", "iat", "expire_at"};
    static const char *const times[] = {"-1",           "-0.5", "1e300",  "9999999999999999",
                                        "253402300800", "null", "\"1\"",  "true",
                                        "[1700000100]", "{}",   "\"NaN\""};
    struct token_verifier *verifier = make_plain_verifier();
    char payload[128];

    (void)state;
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        for (size_t j = 0; j < sizeof(times) / sizeof(times[0]); j++) {
            char problem[64];

            snprintf(payload, sizeof(payload), "{\"%s\":%s}", claims[i], times[j]);
            snprintf(problem, sizeof(problem), "its %s is not a time", claims[i]);
            check_cases(verifier, &(struct claim_case){payload, problem}, 1);
        }
        snprintf(payload, sizeof(payload), "{\"%s\":NaN}", claims[i]);
        expect_outcome(verifier, payload, TOKEN_INVALID);
        snprintf(payload, sizeof(payload), "{\"%s\":1e999}", claims[i]);
        expect_outcome(verifier, payload, TOKEN_INVALID);
    }
    token_verifier_destroy(verifier);
}

/* A fraction of the first second of 1970 is not "never". */
static void expiry_is_the_connections_own(void **state)
{
    static const struct {
        const char *payload;
        int64_t expires_at_s;
    } cases[] = {
        {"{\"exp\":1700000100.9}", 1700000100},
        {"{\"exp\":1700000100,\"expire_at\":1700000050}", 1700000050},
        {"{\"exp\":1700000100,\"expire_at\":0}", 0},
        {"{\"expire_at\":0.5}", 1},
        {"{\"expire_at\":5}", 5},
    };
    struct token_verifier *verifier = make_plain_verifier();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct token_claims claims;

        assert_int_equal(read_connection(verifier, cases[i].payload, &claims), TOKEN_VALID);
        assert_int_equal(claims.expires_at_s, cases[i].expires_at_s);
        token_claims_deinit(&claims);
    }
    token_verifier_destroy(verifier);
}

static void audience_and_issuer_are_ours(void **state)
{
    static const struct claim_case cases[] = {
        {"{\"iss\":\"app\"}", "it is for another audience"},
        {"{\"aud\":\"other\",\"iss\":\"app\"}", "it is for another audience"},
        {"{\"aud\":[],\"iss\":\"app\"}", "it is for another audience"},
        {"{\"aud\":[\"other\",1,null],\"iss\":\"app\"}", "it is for another audience"},
        {"{\"aud\":{\"carillon\":1},\"iss\":\"app\"}", "it is for another audience"},
        {"{\"aud\":[[\"carillon\"]],\"iss\":\"app\"}", "it is for another audience"},
        {"{\"aud\":null,\"iss\":\"app\"}", "it is for another audience"},
        {"{\"aud\":\"carillon\"}", "it is from another issuer"},
        {"{\"aud\":\"carillon\",\"iss\":\"apps\"}", "it is from another issuer"},
        {"{\"aud\":\"carillon\",\"iss\":[\"app\"]}", "it is from another issuer"},
        /* Not "expired": a new one of the same would be of no use. */
        {"{\"aud\":\"other\",\"iss\":\"app\",\"exp\":1}", "it is for another audience"},
    };
    struct token_verifier *verifier = make_verifier(&(struct token_options){
        .hmac_secret_file = write_file("secret", SECRET),
        .audience = "carillon",
        .issuer = "app",
    });

    (void)state;
    check_cases(verifier, cases, sizeof(cases) / sizeof(cases[0]));
    expect_outcome(verifier, "{\"aud\":\"carillon\",\"iss\":\"app\"}", TOKEN_VALID);
    expect_outcome(verifier, "{\"aud\":[\"x\",\"carillon\"],\"iss\":\"app\"}", TOKEN_VALID);
    token_verifier_destroy(verifier);

    verifier = make_plain_verifier();
    expect_outcome(verifier, "{\"aud\":\"other\",\"iss\":\"any\"}", TOKEN_VALID);
    token_verifier_destroy(verifier);
}

static void claims_of_another_shape_are_refused(void **state)
{
    static const struct claim_case cases[] = {
        {"{\"sub\":1}", "its user is not a string"},
        {"{\"sub\":null}", "its user is not a string"},
        {"{\"sub\":\"a\",\"sub\":\"b\"}", "its payload is not base64url of a JSON object"},
        {"[]", "its payload is not base64url of a JSON object"},
        {"{\"sub\":\"\xff\"}", "its payload is not base64url of a JSON object"},
        {"{\"sub\":\"a\\u0000b\"}", "its payload is not base64url of a JSON object"},
        {"{\"info\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
         "its payload is not base64url of a JSON object"},
        {"{\"b64info\":\"AP8\"}", "its b64info is not base64"},
        {"{\"b64info\":1}", "its b64info is not base64"},
        {"{\"channels\":\"a\"}", "its channels are not an array"},
        {"{\"channels\":[1]}", "its channels are not strings"},
        {"{\"channels\":[\"\"]}", "it names a channel that cannot be"},
        {"{\"channels\":[\"a\\nb\"]}", "it names a channel that cannot be"},
        {"{\"subs\":[]}", "its subs are not an object"},
        {"{\"subs\":{\"a\":1}}", "its subs are not objects"},
        {"{\"subs\":{\"\":{}}}", "it names a channel that cannot be"},
        {"{\"subs\":{\"a\":{\"b64info\":\"?\"}}}", "its b64info is not base64"},
        {"{\"subs\":{\"a\":{\"b64data\":\"?\"}}}", "its b64data is not base64"},
        {"{\"subs\":{\"a\":{\"override\":1}}}", "its override is not an object"},
        {"{\"subs\":{\"a\":{\"override\":{\"presence\":true}}}}",
         "its override has something else than {\"value\": true or false}"},
        {"{\"subs\":{\"a\":{\"override\":{\"presence\":{\"value\":1}}}}}",
         "its override has something else than {\"value\": true or false}"},
        {"{\"channel\":\"a\"}", "it is for a subscription"},
    };
    struct token_verifier *verifier = make_plain_verifier();

    (void)state;
    check_cases(verifier, cases, sizeof(cases) / sizeof(cases[0]));
    expect_outcome(verifier,
                   "{\"channels\":null,\"subs\":null,\"info\":null,\"meta\":null,\"b64info\":null,"
                   "\"channel\":null}",
                   TOKEN_VALID);
    token_verifier_destroy(verifier);
}

static void subscription_needs_its_channel(void **state)
{
    static const struct claim_case cases[] = {
        {"{\"sub\":\"ann\"}", "it names no channel"},
        {"{\"channel\":null}", "it names no channel"},
        {"{\"channel\":[\"a\"]}", "it names no channel"},
        {"{\"channel\":\"\"}", "it names a channel that cannot be"},
        {"{\"channel\":\"a\",\"client\":1}", "its client is not a string"},
        {"{\"channel\":\"a\",\"override\":[]}", "its override is not an object"},
        {"{\"channel\":\"a\",\"exp\":1700000000}", "it has expired"},
    };
    struct token_verifier *verifier = make_plain_verifier();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct token_claims claims;

        assert_int_not_equal(read_subscription(verifier, cases[i].payload, &claims), TOKEN_VALID);
        assert_string_equal(claims.problem, cases[i].problem);
        token_claims_deinit(&claims);
    }
    token_verifier_destroy(verifier);
}

static void user_and_channels_are_bounded(void **state)
{
    struct token_verifier *verifier = make_plain_verifier();
    char payload[4096];

    (void)state;
    for (int size = TOKEN_USER_LIMIT; size <= TOKEN_USER_LIMIT + 1; size++) {
        snprintf(payload, sizeof(payload), "{\"sub\":\"%0*d\"}", size, 0);
        expect_outcome(verifier, payload, size > TOKEN_USER_LIMIT ? TOKEN_INVALID : TOKEN_VALID);
    }
    for (size_t count = TOKEN_SUBS_LIMIT; count <= TOKEN_SUBS_LIMIT + 1; count++) {
        size_t used = (size_t)snprintf(payload, sizeof(payload), "{\"channels\":[");

        for (size_t i = 0; i < count; i++)
            used += (size_t)snprintf(payload + used, sizeof(payload) - used, "%s\"c%zu\"",
                                     i > 0 ? "," : "", i);
        snprintf(payload + used, sizeof(payload) - used, "]}");
        expect_outcome(verifier, payload, count > TOKEN_SUBS_LIMIT ? TOKEN_INVALID : TOKEN_VALID);
    }
    token_verifier_destroy(verifier);
}

/* JSON frames end at a line's end. */
static void info_is_one_line_and_keeps_its_numbers(void **state)
{
    static const char *const infos[][2] = {
        {"9007199254740993", "9007199254740993"},
        {"0.1", "0.1"},
        {"[0.1, 0.30000000000000004]", "[0.10000000000000001,0.30000000000000004]"},
        {"\"a\\nb\"", "\"a\\nb\""},
        {"\"\\u00e4\"", "\"\xc3\xa4\""},
        {"[\n1\n,\n2 ]", "[1,2]"},
        {"false", "false"},
    };
    struct token_verifier *verifier = make_plain_verifier();
    char payload[128];

    (void)state;
    for (size_t i = 0; i < sizeof(infos) / sizeof(infos[0]); i++) {
        struct token_claims claims;

        snprintf(payload, sizeof(payload), "{\"info\":%s}", infos[i][0]);
        assert_int_equal(read_connection(verifier, payload, &claims), TOKEN_VALID);
        assert_string_equal(claims.info, infos[i][1]);
        token_claims_deinit(&claims);
    }
    token_verifier_destroy(verifier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_a_connection_is_told_is_read),
        cmocka_unit_test(everything_that_a_subscription_is_told_is_read),
        cmocka_unit_test(token_without_a_user_is_anonymous),
        cmocka_unit_test(user_may_be_another_claim),
        cmocka_unit_test(times_are_kept_with_leeway),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(expiry_is_the_connections_own),
        cmocka_unit_test(audience_and_issuer_are_ours),
        cmocka_unit_test(claims_of_another_shape_are_refused),
        cmocka_unit_test(subscription_needs_its_channel),
        cmocka_unit_test(user_and_channels_are_bounded),
        cmocka_unit_test(info_is_one_line_and_keeps_its_numbers),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
