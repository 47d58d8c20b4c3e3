#include "tests/unit/namespaces_fixture.h"

/* The roles of the matrix. */

enum role {
    ANONYMOUS,
    ANONYMOUS_SUBSCRIBER,
    CLIENT,
    SUBSCRIBER,
    TOKEN_HOLDER,
    NAMED_USER, /* of room#ann,bob */
    NAMED_SUBSCRIBER,
    OTHER_USER,
    OTHER_SUBSCRIBER,
    ROLES
};

static const char *const role_names[ROLES] = {
    "anonymous",  "anonymous subscriber", "client",     "subscriber",       "token holder",
    "named user", "named subscriber",     "other user", "other subscriber",
};

static const char *const act_names[] = {"subscribe", "publish", "history", "presence"};

static struct actor actor_of(enum role role)
{
    static const char *const users[ROLES] = {"",    "",    "ann", "ann", "zoe",
                                             "bob", "bob", "eve", "eve"};

    return (struct actor){
        .user = text_of(users[role]),
        .is_subscriber = role == ANONYMOUS_SUBSCRIBER || role == SUBSCRIBER ||
                         role == NAMED_SUBSCRIBER || role == OTHER_SUBSCRIBER,
        .has_token = role == TOKEN_HOLDER,
    };
}

/* The same of each channel: which options are on, by the table's own names. */
enum grant { FOR_CLIENT = 1, FOR_SUBSCRIBER = 2, FOR_ANONYMOUS = 4, GRANTS = 8 };

static bool has_option(const char *name)
{
    for (size_t i = 0; i < config_program.option_count; i++) {
        if (strcmp(config_program.options[i].name, name) == 0)
            return config_program.options[i].in_section;
    }
    return false;
}

/* So that an option that is added has to be known here, too. */
static void table_grants_nothing_else(void **state)
{
    (void)state;
    size_t count = 0;

    for (size_t i = 0; i < config_program.option_count; i++) {
        const char *name = config_program.options[i].name;

        count += strncmp(name, "allow-", 6) == 0 && strstr(name, "-for-") != NULL;
    }
    assert_int_equal(count, 11);
}

static size_t grant(char *text, size_t size, enum channel_act act, int grants)
{
    static const char *const to[] = {"client", "subscriber", "anonymous"};
    size_t used = 0;

    for (int i = 0; i < 3; i++) {
        char name[64];

        snprintf(name, sizeof(name), "allow-%s-for-%s", act_names[act], to[i]);
        if (has_option(name))
            used += (size_t)snprintf(text + used, size - used, "%s = %s\n", name,
                                     grants & (1 << i) ? "on" : "off");
        else
            assert_true(act == CHANNEL_SUBSCRIBE && i == 1);
    }
    return used;
}

/* A namespace in which one act is granted to some, and no other to anybody. */
static void load_with(enum channel_act act, int grants)
{
    char text[1024];
    size_t used = (size_t)snprintf(text, sizeof(text),
                                   "[namespace chat]\nhistory-size = 10\n"
                                   "presence = on\n"
                                   "allow-user-limited-channels = on\n");

    grant(text + used, sizeof(text) - used, act, grants);
    load_good(text);
}

/* What the rules alone say, which is the specification once more in other words. */
static bool is_granted(enum channel_act act, int grants, const struct actor *actor)
{
    bool by_client = grants & FOR_CLIENT;
    bool by_subscriber =
        act != CHANNEL_SUBSCRIBE && (grants & FOR_SUBSCRIBER) && actor->is_subscriber;

    if (actor->user.size == 0 && !(grants & FOR_ANONYMOUS))
        return false;
    return by_client || by_subscriber;
}

static bool is_expected(enum channel_privacy privacy, enum channel_act act, int grants,
                        enum role role)
{
    struct actor actor = actor_of(role);
    bool by_rules = is_granted(act, grants, &actor);
    bool named =
        role == NAMED_USER || role == NAMED_SUBSCRIBER || role == CLIENT || role == SUBSCRIBER;

    if (act == CHANNEL_SUBSCRIBE && role == TOKEN_HOLDER)
        return true;
    switch (privacy) {
    case CHANNEL_FOR_ALL:
        return by_rules;
    case CHANNEL_FOR_TOKEN:
        return act != CHANNEL_SUBSCRIBE && (actor.is_subscriber || role == TOKEN_HOLDER) &&
               by_rules;
    case CHANNEL_FOR_USERS:
        return act == CHANNEL_SUBSCRIBE ? named : (named || role == TOKEN_HOLDER) && by_rules;
    case CHANNEL_PERSONAL: /* bob's */
        named = role == NAMED_USER || role == NAMED_SUBSCRIBER;
        return act == CHANNEL_SUBSCRIBE ? named : (named || role == TOKEN_HOLDER) && by_rules;
    }
    return false;
}

static void check_roles(const char *channel, enum channel_privacy privacy, enum channel_act act,
                        int grants)
{
    for (enum channel_act asked = CHANNEL_SUBSCRIBE; asked <= CHANNEL_PRESENCE; asked++) {
        for (enum role role = 0; role < ROLES; role++) {
            struct actor actor = actor_of(role);
            bool expected = is_expected(privacy, asked, asked == act ? grants : 0, role);
            int result = check(channel, asked, &actor);

            if (result != (expected ? 0 : CLIENT_ERROR_PERMISSION_DENIED))
                fail_msg("%s of %s by %s, where %s is granted to %d: %d", act_names[asked], channel,
                         role_names[role], act_names[act], grants, result);
        }
    }
}

static void each_option_allows_its_act_to_its_role_alone(void **state)
{
    (void)state;
    for (enum channel_act act = CHANNEL_SUBSCRIBE; act <= CHANNEL_PRESENCE; act++) {
        for (int grants = 0; grants < GRANTS; grants++) {
            load_with(act, grants);
            check_roles("chat:room", CHANNEL_FOR_ALL, act, grants);
            check_roles("$chat:room", CHANNEL_FOR_TOKEN, act, grants);
            check_roles("chat:room#ann,bob", CHANNEL_FOR_USERS, act, grants);
        }
    }
}

/* The same in the default namespace, whose options stand at the top. */
static void options_at_the_top_are_those_of_the_default_namespace(void **state)
{
    (void)state;
    char text[1024];

    for (int grants = 0; grants < GRANTS; grants++) {
        size_t used = (size_t)snprintf(text, sizeof(text), "allow-user-limited-channels = on\n");

        for (enum channel_act act = CHANNEL_SUBSCRIBE; act <= CHANNEL_PRESENCE; act++)
            used +=
                grant(text + used, sizeof(text) - used, act, act == CHANNEL_PUBLISH ? grants : 0);
        load_good(text);
        check_roles("room", CHANNEL_FOR_ALL, CHANNEL_PUBLISH, grants);
        check_roles(":room", CHANNEL_FOR_ALL, CHANNEL_PUBLISH, grants);
        check_roles("$room", CHANNEL_FOR_TOKEN, CHANNEL_PUBLISH, grants);
        check_roles("room#ann,bob", CHANNEL_FOR_USERS, CHANNEL_PUBLISH, grants);
        check_roles("#bob", CHANNEL_PERSONAL, CHANNEL_PUBLISH, grants);
    }
}

static void channel_belongs_to_what_stands_before_its_first_colon(void **state)
{
    (void)state;
    load_good("[namespace a]\nmax-subscribers = 1\n[namespace ab]\nmax-subscribers = 2\n"
              "[namespace A.b_c-9]\nmax-subscribers = 3\n");
    static const struct {
        const char *channel;
        int subscribers; /* -1: there is no such namespace */
    } cases[] = {
        {"room", 0},   {":room", 0},       {"a", 0},         {"a:", 1},     {"a:b:c", 1},
        {"ab:a:", 2},  {"$ab:x", 2},       {"A.b_c-9:x", 3}, {"abc:x", -1}, {"A:x", -1},
        {"$$a:x", -1}, {"a#b:x", -1},      {"a b:x", -1},    {"#a:x", 0},   {"#zoe:ab", 0},
        {"$:x", 0},    {"\xc3\xa4:x", -1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct channel_rules *rules = rules_of(cases[i].channel);
        int subscribers = rules ? (int)rules->max_subscribers : -1;

        if (subscribers != cases[i].subscribers)
            fail_msg("%s: %d", cases[i].channel, subscribers);
    }

    struct actor actor = {.user = text_of("ann"), .has_token = true};

    assert_int_equal(check("abc:x", CHANNEL_SUBSCRIBE, &actor), CLIENT_ERROR_UNKNOWN_CHANNEL);
    assert_int_equal(namespaces_privacy(namespaces, text_of("abc:x")), CHANNEL_FOR_ALL);
}

static void colon_is_a_letter_where_there_are_no_namespaces(void **state)
{
    (void)state;
    load_good("max-subscribers = 7\n");
    assert_int_equal(rules_of("chat:room")->max_subscribers, 7);
    assert_true(may_subscribe("chat:room", ""));
}

static void many_namespaces_are_found(void **state)
{
    (void)state;
    static char text[NAMESPACES_LIMIT * 64];
    size_t used = 0;
    char channel[64];

    for (int i = 0; i < NAMESPACES_LIMIT; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "[namespace n%d]\nmax-subscribers = %d\n", i * 7919 % 1000, i);
    load_good(text);
    for (int i = 0; i < NAMESPACES_LIMIT; i++) {
        snprintf(channel, sizeof(channel), "n%d:room", i * 7919 % 1000);
        assert_int_equal(rules_of(channel)->max_subscribers, i);
    }
    snprintf(text + used, sizeof(text) - used, "[namespace last]\n");
    assert_refused(text, "[namespace last]: there are more than 256 sections");
}

static void invalid_name_is_a_bad_request(void **state)
{
    (void)state;
    static char longest[CHANNEL_NAME_LIMIT + 2];
    struct actor actor = {.user = text_of("ann"), .has_token = true};

    memset(longest, 'x', CHANNEL_NAME_LIMIT + 1);
    load_good("");

    static const char *const bad[] = {"", "a\nb", "\xff", longest};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(check(bad[i], CHANNEL_PUBLISH, &actor), CLIENT_ERROR_BAD_REQUEST);
    assert_int_equal(namespaces_check(namespaces, (struct text){NULL, 0}, CHANNEL_PUBLISH, &actor),
                     CLIENT_ERROR_BAD_REQUEST);
    longest[CHANNEL_NAME_LIMIT] = '\0';
    assert_int_equal(check(longest, CHANNEL_PUBLISH, &actor), 0);
}

static void users_stand_behind_the_last_hash(void **state)
{
    (void)state;
    load_good("allow-user-limited-channels = on\n"
              "[namespace chat]\nallow-user-limited-channels = on\n"
              "[namespace open]\nallow-subscribe-for-client = on\n");
    assert_true(may_subscribe("room#ann", "ann"));
    assert_true(may_subscribe("chat:room#ann,bob", "bob"));
    assert_true(may_subscribe("room#1#ann", "ann"));
    assert_false(may_subscribe("room#ann#1", "ann"));
    assert_false(may_subscribe("room#ann,bob", "an"));
    assert_false(may_subscribe("room#ann,bob", "ann,bob"));
    assert_false(may_subscribe("room#ann,bob", "anna"));
    assert_false(may_subscribe("room#ann,bob", "room"));
    assert_false(may_subscribe("room# ann", "ann"));
    assert_true(may_subscribe("open:room#ann", "bob"));
}

/* An empty place in the list is nobody's, least of all that of those without a name. */
static void nobody_is_no_user(void **state)
{
    (void)state;
    load_good("allow-user-limited-channels = on\n");
    static const char *const channels[] = {"room#",     "room#,", "room#ann,",
                                           "room#,ann", "#",      "room##"};

    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
        assert_false(may_subscribe(channels[i], ""));
        assert_false(may_subscribe(channels[i], "bob"));
    }
    assert_true(may_subscribe("room#,ann", "ann"));
}

static void personal_channel_is_its_users(void **state)
{
    (void)state;
    char name[CHANNEL_NAME_LIMIT];
    static const char *const users[] = {"ann", "ann,bob", "github:ann",
                                        "a#b", "#",       "gr\xc3\xbc\xc3\x9f"};

    load_good("allow-user-limited-channels = off\n");
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        size_t size = namespaces_personal_channel(namespaces, text_of(users[i]), name);
        struct text channel = {name, size};
        struct actor user = {.user = text_of(users[i])};
        struct actor other = {.user = text_of("bob")};

        assert_int_equal(size, strlen(users[i]) + 1);
        assert_int_equal(namespaces_privacy(namespaces, channel), CHANNEL_PERSONAL);
        assert_int_equal(namespaces_check(namespaces, channel, CHANNEL_SUBSCRIBE, &user), 0);
        assert_int_equal(namespaces_check(namespaces, channel, CHANNEL_SUBSCRIBE, &other),
                         CLIENT_ERROR_PERMISSION_DENIED);
        assert_int_equal(namespaces_check(namespaces, channel, CHANNEL_PUBLISH, &other),
                         CLIENT_ERROR_PERMISSION_DENIED);
    }
    assert_int_equal(namespaces_personal_channel(namespaces, text_of(""), name), 0);
    assert_int_equal(namespaces_personal_channel(namespaces, text_of("a\nb"), name), 0);

    static char longest[CHANNEL_NAME_LIMIT + 1];

    memset(longest, 'x', CHANNEL_NAME_LIMIT - 1);
    assert_int_equal(namespaces_personal_channel(namespaces, text_of(longest), name),
                     CHANNEL_NAME_LIMIT);
    longest[CHANNEL_NAME_LIMIT - 1] = 'x';
    assert_int_equal(namespaces_personal_channel(namespaces, text_of(longest), name), 0);
}

static void empty_prefix_turns_its_channels_off(void **state)
{
    (void)state;
    char name[CHANNEL_NAME_LIMIT];

    load_good("private-prefix =\npersonal-prefix =\nallow-user-limited-channels = off\n");
    assert_int_equal(namespaces_privacy(namespaces, text_of("$room")), CHANNEL_FOR_ALL);
    assert_int_equal(namespaces_privacy(namespaces, text_of("#ann")), CHANNEL_FOR_ALL);
    assert_true(may_subscribe("$room", ""));
    assert_true(may_subscribe("#ann", "bob"));
    assert_int_equal(namespaces_personal_channel(namespaces, text_of("ann"), name), 0);
    load_good("private-prefix = secret-\n");
    assert_false(may_subscribe("secret-room", "ann"));
    assert_true(may_subscribe("secret", "ann"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_grants_nothing_else),
        cmocka_unit_test(each_option_allows_its_act_to_its_role_alone),
        cmocka_unit_test(options_at_the_top_are_those_of_the_default_namespace),
        cmocka_unit_test(channel_belongs_to_what_stands_before_its_first_colon),
        cmocka_unit_test(colon_is_a_letter_where_there_are_no_namespaces),
        cmocka_unit_test(many_namespaces_are_found),
        cmocka_unit_test(invalid_name_is_a_bad_request),
        cmocka_unit_test(users_stand_behind_the_last_hash),
        cmocka_unit_test(nobody_is_no_user),
        cmocka_unit_test(personal_channel_is_its_users),
        cmocka_unit_test(empty_prefix_turns_its_channels_off),
    };

    return cmocka_run_group_tests_name("namespaces", tests, create_config, remove_config);
}
