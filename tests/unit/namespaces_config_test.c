#include "tests/unit/namespaces_fixture.h"

static void all_is_open_without_a_set_up(void **state)
{
    (void)state;
    load_good("");
    for (enum channel_act act = CHANNEL_SUBSCRIBE; act <= CHANNEL_PRESENCE; act++) {
        struct actor nobody = {.user = text_of("")};

        assert_int_equal(check("lobby", act, &nobody), 0);
    }

    const struct channel_rules *rules = rules_of("lobby");

    assert_true(rules->presence && rules->join_leave && rules->allow_recovery);
    assert_true(rules->allow_positioning && rules->delta);
    assert_false(rules->allow_user_limited_channels); /* # is a letter like others */
    assert_false(rules->force_recovery || rules->force_positioning);
    assert_false(rules->force_push_join_leave);
    assert_false(rules->subscribe_proxy || rules->publish_proxy);
    assert_int_equal(rules->history_size, 1000);
    assert_int_equal(rules->message_size, 64 * 1024);
}

static void all_is_closed_in_a_section_that_says_nothing(void **state)
{
    (void)state;
    load_good("history-ttl = 1h\nmessage-rate = 7\nmax-message-size = 2K\n[namespace chat]\n");
    for (size_t i = 0; i < config_program.option_count; i++) {
        const struct option *option = &config_program.options[i];

        if (option->in_section && option->type == OPTION_FLAG)
            assert_string_equal(option->section_fallback, "off");
    }
    for (int i = 0; i < 8; i++) {
        struct actor actor = {
            .user = text_of(i & 1 ? "ann" : ""), .is_subscriber = i & 2, .has_token = i & 4};

        assert_int_equal(check("chat:room", CHANNEL_SUBSCRIBE, &actor),
                         actor.has_token ? 0 : CLIENT_ERROR_PERMISSION_DENIED);
        assert_int_equal(check("chat:room", CHANNEL_PUBLISH, &actor),
                         CLIENT_ERROR_PERMISSION_DENIED);
        assert_int_equal(check("chat:room", CHANNEL_HISTORY, &actor), CLIENT_ERROR_NOT_AVAILABLE);
        assert_int_equal(check("chat:room", CHANNEL_PRESENCE, &actor), CLIENT_ERROR_NOT_AVAILABLE);
    }
    assert_int_equal(rules_of("chat:room")->history_size, 0);
    assert_int_equal(rules_of("chat:room")->history_ttl_ms, 3600000);
    assert_int_equal(rules_of("chat:room")->message_rate, 7);
    assert_int_equal(rules_of("chat:room")->message_burst, 200);
    assert_int_equal(rules_of("chat:room")->message_size, 2048);
}

static void personal_channels_can_be_in_a_namespace(void **state)
{
    (void)state;
    char name[CHANNEL_NAME_LIMIT];

    load_good("personal-prefix = news:#\n[namespace news]\nmax-subscribers = 3\n");
    assert_int_equal(namespaces_personal_channel(namespaces, text_of("a:b"), name), 9);
    assert_memory_equal(name, "news:#a:b", 9);
    assert_int_equal(rules_of("news:#a:b")->max_subscribers, 3);
    assert_true(may_subscribe("news:#a:b", "a:b"));
    assert_false(may_subscribe("news:#a:b", "b"));
    assert_false(may_subscribe("news:b", "b"));
    assert_refused("personal-prefix = news:#\n",
                   "--personal-prefix: there is no section of its namespace");
}

static void rules_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    assert_refused("private-prefix = $\npersonal-prefix = $me\n",
                   "--personal-prefix: must not begin as --private-prefix does");
    assert_refused("private-prefix = \xff\n", "--private-prefix: expected UTF-8");
    assert_refused("personal-prefix = \xff\n", "--personal-prefix: expected UTF-8");
    assert_refused("message-size = 65K\n", "--message-size: must be at most --max-message-size");
    assert_refused("[namespace a]\nmessage-size = 65K\n",
                   "[namespace a] message-size: must be at most --max-message-size");
    assert_refused("[namespace a]\nforce-recovery = on\n",
                   "[namespace a] force-recovery: needs a history-size above 0");
    assert_refused("history-size = 0\nforce-recovery = on\n", "--force-recovery: needs");
    assert_refused("[namespace a]\nforce-push-join-leave = on\n",
                   "[namespace a] force-push-join-leave: needs join-leave");
    assert_refused("[namespace a]\nlobby = x\n", "lobby: stands before the first section");
    assert_refused("[namespace a]\nprivate-prefix = x\n", "stands before the first section");
    assert_refused("[namespace a]\nhistory-size = 1000001\n", "must be at most 1000000");
    assert_refused("[namespace a]\nsubscribe-proxy = on\n",
                   "[namespace a] subscribe-proxy: needs --proxy-subscribe");
    assert_refused("publish-proxy = on\n", "--publish-proxy: needs --proxy-publish");
    load_good("proxy-subscribe = http://a/\nproxy-publish = http://a/\n"
              "[namespace a]\nforce-recovery = on\nhistory-size = 1\nforce-push-join-leave = on\n"
              "join-leave = on\nmessage-size = 64K\nforce-positioning = yes\ndelta = 1\n"
              "subscribe-proxy = on\npublish-proxy = on\nmessage-burst = 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_open_without_a_set_up),
        cmocka_unit_test(all_is_closed_in_a_section_that_says_nothing),
        cmocka_unit_test(personal_channels_can_be_in_a_namespace),
        cmocka_unit_test(rules_that_do_not_fit_are_refused),
    };

    return cmocka_run_group_tests_name("namespaces_config", tests, create_config, remove_config);
}
