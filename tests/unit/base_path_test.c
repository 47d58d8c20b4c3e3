#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/base_path.h"

static void base_is_a_path_that_needs_no_escapes(void **state)
{
    static const char *const good[] = {"/", "/chat", "/apps/chat", "/a-b_c.d~1", "/..."};
    static const char *const bad[] = {"",       "chat",  "/chat/", "//",      "/a//b",    "/.",
                                      "/../b",  "/a/..", "/a b",   "/a%20b",  "/a?b",     "/a#b",
                                      "/a\r\n", "/a\\b", "//evil", "/chat//", "/\xc3\xa4"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(base_path_is_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (base_path_is_valid(bad[i]))
            fail_msg("\"%s\" passed", bad[i]);
    }
}

static void paths_below_lose_the_base(void **state)
{
    (void)state;
    assert_string_equal(base_path_strip("/chat", "/chat/"), "/");
    assert_string_equal(base_path_strip("/chat", "/chat/ws"), "/ws");
    assert_string_equal(base_path_strip("/apps/chat", "/apps/chat/a/b"), "/a/b");
    assert_string_equal(base_path_strip("/chat", "/chat"), "");
}

static void paths_outside_are_none(void **state)
{
    static const char *const paths[] = {"/",          "/ws",    "/cha",    "/chats",
                                        "/chat.html", "/Chat/", "/x/chat/"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_null(base_path_strip("/chat", paths[i]));
}

static void without_a_base_every_path_is_below(void **state)
{
    (void)state;
    assert_string_equal(base_path_strip("/", "/"), "/");
    assert_string_equal(base_path_strip("/", "/chat/ws"), "/chat/ws");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_is_a_path_that_needs_no_escapes),
        cmocka_unit_test(paths_below_lose_the_base),
        cmocka_unit_test(paths_outside_are_none),
        cmocka_unit_test(without_a_base_every_path_is_below),
    };

    return cmocka_run_group_tests_name("base_path", tests, NULL, NULL);
}
