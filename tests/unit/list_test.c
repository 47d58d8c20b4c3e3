#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/list.h"
#include "common/memory.h"

struct thing {
    int number;
    struct list link;
};

static void assert_holds(const struct list *list, const int *numbers, size_t count)
{
    const struct list *link = list->next;

    for (size_t i = 0; i < count; i++, link = link->next) {
        assert_ptr_not_equal(link, list);
        assert_int_equal(container_of(link, const struct thing, link)->number, numbers[i]);
        assert_ptr_equal(link->next->previous, link);
    }
    assert_ptr_equal(link, list);
}

#define assert_list(list, ...)                                                                     \
    assert_holds(list, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void members_stand_in_the_order_of_their_coming(void **state)
{
    struct thing things[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    struct list list;

    (void)state;
    list_init(&list);
    assert_true(list_is_empty(&list));
    for (int i = 0; i < 3; i++)
        list_append(&list, &things[i].link);
    assert_list(&list, 1, 2, 3);
}

static void member_leaves_from_anywhere_and_more_than_once(void **state)
{
    struct thing things[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    struct list list;

    (void)state;
    list_init(&list);
    for (int i = 0; i < 3; i++)
        list_append(&list, &things[i].link);
    list_remove(&things[1].link);
    assert_list(&list, 1, 3);
    assert_true(list_is_empty(&things[1].link));
    list_remove(&things[1].link);
    assert_list(&list, 1, 3);
    list_remove(&things[0].link);
    list_remove(&things[2].link);
    assert_true(list_is_empty(&list));
}

static void all_members_move_at_once(void **state)
{
    struct thing things[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    struct list from;
    struct list to;

    (void)state;
    list_init(&from);
    list_init(&to);
    list_append_all(&to, &from);
    assert_true(list_is_empty(&to));
    for (int i = 0; i < 4; i++)
        list_append(i < 2 ? &to : &from, &things[i].link);
    list_append_all(&to, &from);
    assert_list(&to, 1, 2, 3, 4);
    assert_true(list_is_empty(&from));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_stand_in_the_order_of_their_coming),
        cmocka_unit_test(member_leaves_from_anywhere_and_more_than_once),
        cmocka_unit_test(all_members_move_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
