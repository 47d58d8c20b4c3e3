/* The rules of a copy: what it is, who may go on in it, which of two is the better one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "router/place.h"

static struct histories histories;
static struct key_tables keys;
static struct presences presences;
static struct place *place;
static const struct router_limits no_limits;

static void on_emptied(struct history *history)
{
    (void)history;
}

static void on_keys_emptied(struct key_table *table)
{
    (void)table;
}

static int make_place_of(uint64_t message_limit)
{
    struct history_limits limits = {message_limit, 1000, UINT64_MAX / 2};

    histories_init(&histories, &limits, on_emptied);
    key_tables_init(&keys, 1000, UINT64_MAX / 2, on_keys_emptied);
    presences_init(&presences, UINT64_MAX / 2);
    place = place_create("room", 4, &histories, &keys, &presences);
    return 0;
}

static int make_place(void **state)
{
    (void)state;
    return make_place_of(100);
}

/* One that keeps three messages. */
static int make_small_place(void **state)
{
    (void)state;
    return make_place_of(3);
}

static int drop_place(void **state)
{
    (void)state;
    place_destroy(place);
    assert_int_equal(histories.memory, 0);
    assert_int_equal(keys.memory, 0);
    return 0;
}

/* Appends `count` messages of publisher 7, whose sequence is ten times the offset. */
static void append(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct message *message = message_create(MESSAGE_TEXT, "room", 4, "hello", 5);

        message->publisher = 7;
        message->offset = place->history.top + 1;
        message->sequence = 10 * message->offset;
        place_append(place, message, &no_limits, 0);
        message_unref(message);
    }
}

/* Makes the place a copy of epoch "A", generation 3, with `count` messages from offset 1 on. */
static void begin(unsigned count)
{
    place_reset(place, &(struct router_lineage){.epoch = "A", .generation = 3}, 0);
    append(count);
    place->has_title = true;
}

static void adopt(struct router_lineage lineage, uint64_t start)
{
    place_adopt(place, &lineage, start, 0, &(struct router_producers){NULL, 0});
}

/* Checks what the copy is, as "epoch/generation previous/fork offset". */
static void assert_is(const char *text)
{
    struct router_lineage lineage = place_lineage(place);
    char is[128];

    snprintf(is, sizeof(is), "%s/%llu %s/%llu %llu", lineage.epoch,
             (unsigned long long)lineage.generation, lineage.previous,
             (unsigned long long)lineage.fork, (unsigned long long)lineage.offset);
    assert_string_equal(is, text);
}

/* Checks that one who stands there goes on where it stands, or does not. */
static void assert_follows(bool follows, const char *epoch, uint64_t offset)
{
    uint64_t from = UINT64_MAX;

    assert_int_equal(place_follows(place, epoch, offset, place->history.top, &from), follows);
    if (follows)
        assert_true(from == offset);
}

static void new_place_is_no_copy(void **state)
{
    (void)state;
    assert_false(place_has_copy(place));
    assert_string_equal(place->name, "room");
    assert_int_equal(place->role, PLACE_COPY);
    assert_is("/0 /0 0");
    assert_true(place_start(place) == 0);
}

static void copy_knows_its_newest_message_and_who_published(void **state)
{
    (void)state;
    begin(5);
    assert_true(place_has_copy(place));
    assert_is("A/3 /0 5");
    assert_true(place_start(place) == 0);
    assert_true(producers_find(&place->producers, 7)->sequence == 50);
    assert_true(producers_find(&place->producers, 7)->offset == 5);
}

static void copy_starts_where_its_history_does(void **state)
{
    (void)state;
    begin(5);
    assert_true(place_start(place) == 2);
    histories_expire(&histories, 1000);
    assert_true(place_start(place) == 5);
    assert_is("A/3 /0 5");
}

static void forgotten_copy_leaves_nothing(void **state)
{
    (void)state;
    begin(5);
    place_forget(place);
    assert_false(place_has_copy(place));
    assert_false(place->has_title);
    assert_is("/0 /0 0");
    assert_null(producers_find(&place->producers, 7));
    assert_int_equal(histories.memory, 0);
}

/* Forks. */

static void fork_goes_on_under_a_new_epoch_of_the_next_generation(void **state)
{
    (void)state;
    begin(5);
    place->has_title = false;
    place_fork(place, "B");
    assert_is("B/4 A/5 5");
    assert_true(place->has_title);
    append(2);
    assert_is("B/4 A/5 7");
    place_fork(place, "C");
    assert_is("C/5 B/7 7");
}

static void fork_of_nothing_is_a_beginning(void **state)
{
    (void)state;
    place_fork(place, "B");
    assert_true(place_has_copy(place));
    assert_true(place->has_title);
    assert_is("B/1 /0 0");
}

/* A copy of a fork whose messages come in from the beginning. */
static void copy_is_one_of_the_epoch_before_until_it_reaches_the_fork(void **state)
{
    (void)state;
    begin(2);
    adopt((struct router_lineage){"B", 4, "A", 5, 7}, 0);
    assert_is("A/3 /0 2");
    append(2);
    assert_is("A/3 /0 4");
    append(1);
    assert_is("B/4 A/5 5");
    append(1);
    assert_is("B/4 A/5 6");
}

static void fork_before_the_fork_is_one_of_the_epoch_before(void **state)
{
    (void)state;
    begin(2);
    adopt((struct router_lineage){"B", 4, "A", 5, 7}, 0);
    place_fork(place, "C");
    assert_is("C/4 A/2 2");
}

/* Adopting. */

static void copy_of_the_same_epoch_is_kept_and_loses_its_title(void **state)
{
    struct router_producer producer = {9, 90, 4};

    (void)state;
    begin(5);
    place_adopt(place, &(struct router_lineage){.epoch = "A", .generation = 3, .offset = 8}, 3, 0,
                &(struct router_producers){&producer, 1});
    assert_is("A/3 /0 5");
    assert_true(place_start(place) == 0);
    assert_false(place->has_title);
    assert_null(producers_find(&place->producers, 7));
    assert_true(producers_find(&place->producers, 9)->sequence == 90);
}

static void copy_is_kept_up_to_the_very_start_of_what_comes(void **state)
{
    (void)state;
    begin(5);
    adopt((struct router_lineage){.epoch = "A", .generation = 3, .offset = 8}, 5);
    assert_int_equal(place->history.count, 5);
    adopt((struct router_lineage){.epoch = "A", .generation = 3, .offset = 8}, 6);
    assert_int_equal(place->history.count, 0);
    assert_is("A/3 /0 6");
}

/* Messages that the other one does not have were never committed under its title. */
static void copy_that_is_ahead_begins_anew(void **state)
{
    (void)state;
    begin(5);
    adopt((struct router_lineage){.epoch = "A", .generation = 3, .offset = 4}, 1);
    assert_is("A/3 /0 1");
    assert_int_equal(place->history.count, 0);
}

static void copy_of_the_epoch_before_is_kept_up_to_the_fork(void **state)
{
    (void)state;
    begin(5);
    adopt((struct router_lineage){"B", 4, "A", 5, 9}, 2);
    assert_int_equal(place->history.count, 5);
    assert_is("B/4 A/5 5");
}

static void copy_that_went_on_behind_the_fork_begins_anew(void **state)
{
    (void)state;
    begin(5);
    adopt((struct router_lineage){"B", 4, "A", 4, 9}, 2);
    assert_int_equal(place->history.count, 0);
    assert_is("A/3 /0 2"); /* the fork is still to come */
    append(2);
    assert_is("B/4 A/4 4");
}

static void copy_of_another_epoch_begins_anew(void **state)
{
    (void)state;
    begin(5);
    adopt((struct router_lineage){.epoch = "X", .generation = 3, .offset = 9}, 2);
    assert_int_equal(place->history.count, 0);
    assert_is("X/3 /0 2");
}

/* It has less than the fork of what was coming: no more than a copy of the epoch before. */
static void copy_that_was_cut_short_before_a_fork_is_kept_as_that_epoch(void **state)
{
    (void)state;
    begin(2);
    adopt((struct router_lineage){"F", 4, "A", 5, 9}, 2);
    assert_is("A/3 /0 2");
    adopt((struct router_lineage){.epoch = "A", .generation = 3, .offset = 5}, 2);
    assert_int_equal(place->history.count, 2);
    assert_is("A/3 /0 2");
}

static void empty_place_adopts_from_where_the_other_starts(void **state)
{
    (void)state;
    adopt((struct router_lineage){.epoch = "A", .generation = 3, .offset = 9}, 4);
    assert_is("A/3 /0 4");
    append(5);
    assert_is("A/3 /0 9");
    assert_true(place_start(place) == 4);
}

/* Following. */

static void who_has_seen_what_is_kept_or_the_message_before_follows(void **state)
{
    (void)state;
    begin(10); /* 8, 9, 10 are kept */
    assert_follows(true, "A", 10);
    assert_follows(true, "A", 8);
    assert_follows(true, "A", 7);
    assert_follows(false, "A", 6);
    assert_follows(false, "A", 0);
}

static void who_has_seen_more_than_there_is_does_not_follow(void **state)
{
    uint64_t from;

    (void)state;
    begin(5);
    assert_follows(false, "A", 6);
    assert_true(place_follows(place, "A", 4, 4, &from)); /* no more is committed */
    assert_false(place_follows(place, "A", 5, 4, &from));
}

static void who_has_seen_another_epoch_does_not_follow(void **state)
{
    (void)state;
    begin(5);
    assert_follows(false, "B", 5);
    assert_follows(false, "B", 0);
    assert_follows(false, "", 5);
}

static void who_has_seen_the_epoch_before_follows_up_to_the_fork(void **state)
{
    (void)state;
    begin(5);
    place_fork(place, "B");
    append(2);
    assert_follows(true, "A", 4);
    assert_follows(true, "A", 5);
    assert_follows(false, "A", 6);
    assert_follows(true, "B", 6);
    assert_follows(false, "B", 8);
}

static void who_has_all_follows_even_where_nothing_is_kept(void **state)
{
    (void)state;
    begin(5);
    histories_expire(&histories, 1000);
    assert_follows(true, "A", 5);
    assert_follows(false, "A", 4);
}

static void nothing_is_missed_where_there_never_was_anything(void **state)
{
    (void)state;
    assert_follows(true, "A", 0);
    place_fork(place, "B");
    assert_follows(true, "A", 0);
    assert_follows(true, "B", 0);
    assert_follows(false, "A", 1);
}

/* Which is better. */

/* Checks that `one` is better than `other`, and not the other way round. */
static void assert_better(struct router_lineage one, bool one_has_title,
                          struct router_lineage other, bool other_has_title)
{
    assert_true(place_is_better(&one, one_has_title, &other, other_has_title));
    assert_false(place_is_better(&other, other_has_title, &one, one_has_title));
}

static void better_copy_is_told_the_same_way_from_both_sides(void **state)
{
    const struct router_lineage a5 = {.epoch = "A", .generation = 3, .offset = 5};
    const struct router_lineage a9 = {.epoch = "A", .generation = 3, .offset = 9};
    const struct router_lineage b5 = {.epoch = "B", .generation = 3, .offset = 5};
    const struct router_lineage c1 = {.epoch = "C", .generation = 4, .offset = 1};
    const struct router_lineage none = {.epoch = ""};

    (void)state;
    assert_better(c1, false, a9, true); /* generation before all else */
    assert_better(a5, true, a9, false); /* of one epoch, the one that may add to it */
    assert_better(a9, false, a5, false);
    assert_better(a9, false, b5, true); /* of two, a title says nothing about the other */
    assert_better(b5, false, a5, true); /* and somebody must win */
    assert_better(a5, false, none, false);
    assert_false(place_is_better(&a5, true, &a5, true));
    assert_false(place_is_better(&none, false, &none, false));
}

static void adopted_copy_drops_what_the_other_has_forgotten(void **state)
{
    (void)state;
    begin(5);
    place_adopt(place, &(struct router_lineage){.epoch = "A", .generation = 3, .offset = 7}, 5, 3,
                &(struct router_producers){NULL, 0});
    assert_int_equal(place->history.top, 5);
    assert_int_equal(place->history.count, 2);
    place_adopt(place, &(struct router_lineage){.epoch = "A", .generation = 3, .offset = 7}, 5, 5,
                &(struct router_producers){NULL, 0});
    assert_int_equal(place->history.top, 5);
    assert_int_equal(place->history.count, 0);
}

static void append_with_key(const char *key)
{
    struct message *message = message_write(&(struct message_draft){
        .channel = {"room", 4}, .data = {"x", 1}, .key = {key, strlen(key)}});

    message->publisher = 7;
    message->offset = place->history.top + 1;
    message->sequence = 10 * message->offset;
    place_append(place, message, &no_limits, 0);
    message_unref(message);
}

static bool is_known(const char *key, uint64_t expected)
{
    uint64_t offset = 0;

    return key_table_find(&place->keys, (struct text){key, strlen(key)}, 0, &offset) &&
           offset == expected;
}

static void keys_stay_as_long_as_their_offsets_mean_the_same(void **state)
{
    const struct router_producers none = {NULL, 0};

    (void)state;
    begin(1);
    append_with_key("k");
    assert_true(is_known("k", 2));
    place_fork(place, "B");
    place_adopt(place, &(struct router_lineage){.epoch = "B", .generation = 4, .offset = 9}, 9, 0,
                &none);
    assert_true(is_known("k", 2)); /* the message is gone, and was the same */
    place_adopt(place, &(struct router_lineage){.epoch = "C", .generation = 5, .offset = 12}, 0, 0,
                &none);
    assert_false(is_known("k", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(new_place_is_no_copy, make_place, drop_place),
        cmocka_unit_test_setup_teardown(copy_knows_its_newest_message_and_who_published, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(copy_starts_where_its_history_does, make_small_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(forgotten_copy_leaves_nothing, make_place, drop_place),
        cmocka_unit_test_setup_teardown(fork_goes_on_under_a_new_epoch_of_the_next_generation,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(fork_of_nothing_is_a_beginning, make_place, drop_place),
        cmocka_unit_test_setup_teardown(copy_is_one_of_the_epoch_before_until_it_reaches_the_fork,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(fork_before_the_fork_is_one_of_the_epoch_before, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(copy_of_the_same_epoch_is_kept_and_loses_its_title,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(copy_is_kept_up_to_the_very_start_of_what_comes, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(copy_that_is_ahead_begins_anew, make_place, drop_place),
        cmocka_unit_test_setup_teardown(copy_of_the_epoch_before_is_kept_up_to_the_fork, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(copy_that_went_on_behind_the_fork_begins_anew, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(copy_of_another_epoch_begins_anew, make_place, drop_place),
        cmocka_unit_test_setup_teardown(copy_that_was_cut_short_before_a_fork_is_kept_as_that_epoch,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(empty_place_adopts_from_where_the_other_starts, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(who_has_seen_what_is_kept_or_the_message_before_follows,
                                        make_small_place, drop_place),
        cmocka_unit_test_setup_teardown(who_has_seen_more_than_there_is_does_not_follow, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(who_has_seen_another_epoch_does_not_follow, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(who_has_seen_the_epoch_before_follows_up_to_the_fork,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(who_has_all_follows_even_where_nothing_is_kept, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(nothing_is_missed_where_there_never_was_anything,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(better_copy_is_told_the_same_way_from_both_sides,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(adopted_copy_drops_what_the_other_has_forgotten, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(keys_stay_as_long_as_their_offsets_mean_the_same,
                                        make_place, drop_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
