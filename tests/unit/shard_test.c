/* What gateways see of routers that stay as they are. What becomes of mirrors is in
 * shard_mirror_test.c, channels that change hands are in shard_claim_test.c. */
#include "tests/unit/shard_fixture.h"

static void room_belongs_to_the_first_router(void **state)
{
    (void)state;
    for (int i = FIRST; i < THIRD; i++)
        assert_true(placement_score(placement_seed(party_names[i]), "room", 4) >
                    placement_score(placement_seed(party_names[i + 1]), "room", 4));
}

static void channel_is_served_by_the_best_router_and_others_say_where_it_is(void **state)
{
    (void)state;
    subscribe(ANN, SECOND);
    assert_heard(ANN, "moved to 0");
    publish(ANN, THIRD, "hello");
    assert_heard(ANN, "refused 1 moved to 0");
    assert_roles("- - -");
    subscribe(ANN, FIRST);
    assert_heard(ANN, "at A/0");
    assert_roles("owner mirror -");
    publish(BOB, FIRST, "hello");
    assert_heard(ANN, "1:hello");
    assert_heard(BOB, "ack 1 at A/1");
}

static void every_subscriber_is_given_each_message_once_and_in_order(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    subscribe(BOB, FIRST);
    publish(ANN, FIRST, "one");
    publish(BOB, FIRST, "two");
    publish(ANN, FIRST, "three");
    assert_heard(ANN, "at A/0, 1:one, ack 1 at A/1, 2:two, 3:three, ack 2 at A/3");
    assert_heard(BOB, "at A/0, 1:one, 2:two, ack 1 at A/2, 3:three");
}

static void publish_is_acknowledged_at_once_where_there_is_no_other_router(void **state)
{
    (void)state;
    publish(ANN, FIRST, "hello");
    assert_heard(ANN, "ack 1 at A/1");
    assert_true(metric_read(&shard_of(FIRST)->stats.alone) == 1);
}

/* Whoever claimed before it has met the others would own what others own. */
static void router_that_has_not_looked_for_others_lets_requests_wait(void **state)
{
    (void)state;
    start_router(FIRST);
    join(FIRST, ANN);
    subscribe(ANN, FIRST);
    publish(ANN, FIRST, "hello");
    assert_heard(ANN, "");
    open_router(FIRST);
    assert_heard(ANN, "at A/0, 1:hello, ack 1 at A/1");
}

/* Positions. */

/* Publishes "1" to `count`; five are kept. */
static void publish_many(unsigned count)
{
    char text[16];

    for (unsigned i = 1; i <= count; i++) {
        snprintf(text, sizeof(text), "%u", i);
        publish(BOB, FIRST, text);
    }
}

static void subscription_from_an_old_position_gets_exactly_what_it_missed(void **state)
{
    (void)state;
    publish_many(8);
    subscribe_from(ANN, FIRST, 'A', 3);
    assert_heard(ANN, "at A/3, 4:4, 5:5, 6:6, 7:7, 8:8");
    subscribe_from(ANN, FIRST, 'A', 7);
    assert_heard(ANN, "at A/7, 8:8");
    subscribe_from(ANN, FIRST, 'A', 8);
    assert_heard(ANN, "at A/8");
}

static void subscription_without_a_position_gets_what_comes(void **state)
{
    (void)state;
    publish_many(8);
    subscribe(ANN, FIRST);
    assert_heard(ANN, "at A/8");
    publish(BOB, FIRST, "9");
    assert_heard(ANN, "9:9");
}

static void subscription_that_cannot_be_continued_is_told(void **state)
{
    (void)state;
    publish_many(8);
    subscribe_from(ANN, FIRST, 'A', 2); /* the third message is gone */
    assert_heard(ANN, "lost A/8");
    subscribe_from(ANN, FIRST, 'A', 9); /* nobody knows what that was */
    assert_heard(ANN, "lost A/8");
    subscribe_from(ANN, FIRST, 'Z', 8);
    assert_heard(ANN, "lost A/8");
    assert_true(metric_read(&shard_of(FIRST)->stats.lost) == 3);
    publish(BOB, FIRST, "9");
    assert_heard(ANN, "9:9");
}

/* All routers died, and with them what nobody had heard. */
static void who_has_an_acknowledgement_of_what_is_gone_is_told(void **state)
{
    (void)state;
    subscribe_from(ANN, FIRST, 'Z', 0);
    assert_heard(ANN, "at A/0");
    put_frame(BOB, FIRST,
              &(struct router_frame){.kind = FRAME_SUBSCRIBE,
                                     .channel = "room",
                                     .channel_size = 4,
                                     .subscribe = {epoch_of('Z'), 0, false, 1}});
    settle();
    assert_heard(BOB, "lost A/0");
}

static void history_that_expired_loses_nobody_who_had_seen_all(void **state)
{
    (void)state;
    publish_many(3);
    subscribe(BOB, FIRST); /* keeps the channel */
    pass(settings.history.ttl_ms);
    subscribe_from(ANN, FIRST, 'A', 3);
    assert_heard(ANN, "at A/3");
    subscribe_from(ANN, FIRST, 'A', 2);
    assert_heard(ANN, "lost A/3");
}

static void asking_again_doubles_no_delivery(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    subscribe(ANN, FIRST);
    publish(BOB, FIRST, "hello");
    assert_heard(ANN, "at A/0, at A/0, 1:hello");
}

static void who_unsubscribed_hears_no_more(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    unsubscribe(ANN, FIRST);
    unsubscribe(ANN, FIRST); /* harmless */
    publish(BOB, FIRST, "hello");
    assert_heard(ANN, "at A/0");
    assert_heard(BOB, "ack 1 at A/1");
}

static void subscription_withdrawn_while_it_waits_is_forgotten(void **state)
{
    (void)state;
    hold(FIRST, SECOND);
    subscribe(ANN, FIRST);
    subscribe(BOB, FIRST);
    unsubscribe(ANN, FIRST);
    assert_heard(BOB, "");
    let_go(FIRST, SECOND);
    assert_heard(ANN, "");
    assert_heard(BOB, "at A/0");
}

/* Publishes again, in order, and in bounds. */

static void repeated_publish_is_acknowledged_again_and_delivered_once(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    publish(BOB, FIRST, "one");
    publish_again(BOB, FIRST, 1, "one");
    publish(BOB, FIRST, "two");
    assert_heard(ANN, "at A/0, 1:one, 2:two");
    assert_heard(BOB, "ack 1 at A/1, ack 1 at A/1, ack 2 at A/2");
    assert_true(metric_read(&shard_of(FIRST)->stats.duplicates) == 1);
}

/* Only a publisher's last message is remembered. */
static void older_publish_is_acknowledged_without_its_place(void **state)
{
    (void)state;
    publish_many(2);
    publish_again(BOB, FIRST, 1, "one");
    assert_heard(BOB, "ack 1 at A/1, ack 2 at A/2, ack 1 at A/0");
}

static void repetition_waits_for_the_mirror_as_the_first_did(void **state)
{
    (void)state;
    subscribe(BOB, FIRST);
    hold(SECOND, FIRST);
    publish(BOB, FIRST, "one");
    publish_again(BOB, FIRST, 1, "one");
    assert_heard(BOB, "at A/0");
    let_go(SECOND, FIRST);
    assert_heard(BOB, "1:one, ack 1 at A/1, ack 1 at A/1");
}

static void same_sequence_of_another_gateway_is_another_message(void **state)
{
    (void)state;
    publish(ANN, FIRST, "one");
    publish(BOB, FIRST, "two");
    assert_heard(ANN, "ack 1 at A/1");
    assert_heard(BOB, "ack 1 at A/2");
}

static void publish_after_a_missing_one_is_refused(void **state)
{
    (void)state;
    publish(BOB, FIRST, "one");
    publish_as(BOB, FIRST, "room", 4, 3, "four");
    publish_as(BOB, FIRST, "room", 3, 1, "three"); /* 2 was for another channel */
    publish_as(BOB, FIRST, "room", 4, 3, "four");
    assert_heard(BOB, "ack 1 at A/1, refused 4 gap, ack 3 at A/2, ack 4 at A/3");
}

static void publish_without_a_sequence_is_refused_for_good(void **state)
{
    (void)state;
    publish_as(BOB, FIRST, "room", 0, 0, "which one?");
    assert_heard(BOB, "refused 0 invalid");
    assert_roles("- - -");
}

static void what_has_no_room_is_refused_as_busy_and_the_rest_goes_on(void **state)
{
    static char large[40000];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    publish(BOB, FIRST, "one");
    hold(SECOND, FIRST);
    publish(BOB, FIRST, large);
    publish(BOB, FIRST, large);
    assert_heard(BOB, "ack 1 at A/1, refused 3 busy");
    publish(ANN, FIRST, "small");
    let_go(SECOND, FIRST);
    assert_heard(ANN, "ack 1 at A/3");
    assert_heard(BOB, "ack 2 at A/2");
    publish_again(BOB, FIRST, 3, large);
    assert_heard(BOB, "ack 3 at A/4");
    assert_true(metric_read(&shard_of(FIRST)->stats.refused) == 1);
}

static void message_that_is_larger_than_all_room_is_taken_alone(void **state)
{
    static char huge[65536];

    (void)state;
    memset(huge, 'x', sizeof(huge) - 1);
    assert_true(sizeof(huge) >= settings.waiting_limit_bytes);
    hold(SECOND, FIRST);
    publish(BOB, FIRST, huge);
    publish(ANN, FIRST, "small");
    assert_heard(ANN, "refused 1 busy");
    let_go(SECOND, FIRST);
    publish_again(ANN, FIRST, 1, "small");
    assert_heard(BOB, "ack 1 at A/1");
    assert_heard(ANN, "ack 1 at A/2");
}

static void requests_that_wait_have_a_limit(void **state)
{
    unsigned refused = 0;

    (void)state;
    hold(FIRST, SECOND);
    for (unsigned i = 0; i < 200; i++)
        subscribe(ANN, FIRST);
    assert_in_range(shard_of(FIRST)->waiting_bytes, 1, settings.waiting_limit_bytes);
    while (processes[ANN].heard.size > 0) {
        static const char text[] = "refused 0 busy, ";

        assert_memory_equal(processes[ANN].heard.data, text, sizeof(text) - 3);
        refused++;
        buffer_consume(&processes[ANN].heard, processes[ANN].heard.size < sizeof(text)
                                                  ? processes[ANN].heard.size
                                                  : sizeof(text) - 1);
    }
    assert_in_range(refused, 50, 150);
}

static void memory_of_channels_has_a_limit(void **state)
{
    char name[16];

    (void)state;
    settings.place_limit_bytes = 10000;
    add_router(FIRST);
    for (unsigned i = 1; i <= 100; i++) {
        snprintf(name, sizeof(name), "%u", i);
        publish_as(BOB, FIRST, name, i, 0, "");
    }
    assert_in_range(shard_of(FIRST)->map.count, 5, 15);
    assert_in_range(shard_of(FIRST)->place_bytes, 10000, 12000);
    assert_true(metric_read(&shard_of(FIRST)->stats.refused) == 100 - shard_of(FIRST)->map.count);
    subscribe_to(BOB, FIRST, "1", '-', 0, false);
    assert_true(metric_read(&shard_of(FIRST)->stats.refused) == 101 - shard_of(FIRST)->map.count);
    publish_as(BOB, FIRST, "1", 101, 0, "");
    assert_true(metric_read(&shard_of(FIRST)->stats.published) == shard_of(FIRST)->map.count + 1);
}

static void messages_that_leave_their_history_for_room_are_counted(void **state)
{
    static char large[1000];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    settings.history.memory_limit = 4096;
    add_router(FIRST);
    for (unsigned i = 0; i < 10; i++)
        publish(BOB, FIRST, large);
    pass(TICK_MS);
    assert_in_range(metric_read(&shard_of(FIRST)->stats.evicted), 6, 9);
    assert_in_range(metric_read(&shard_of(FIRST)->stats.history_bytes), 1, 4096);
}

static void channels_have_a_limit(void **state)
{
    (void)state;
    settings.place_limit = 2;
    add_router(FIRST);
    publish_as(BOB, FIRST, "one", 1, 0, "");
    publish_as(BOB, FIRST, "two", 2, 0, "");
    publish_as(BOB, FIRST, "three", 3, 0, "");
    subscribe_to(BOB, FIRST, "three", '-', 0, false);
    publish_as(BOB, FIRST, "two", 4, 0, "");
    assert_heard(BOB, "ack 1 at A/1, ack 2 at B/1, refused 3 busy, refused 0 busy, ack 4 at B/2");
}

/* Links. */

static void gateway_that_is_gone_leaves_nothing_but_its_messages(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    subscribe(BOB, FIRST);
    hold(SECOND, FIRST);
    publish(BOB, FIRST, "last words");
    cut(BOB, FIRST);
    let_go(SECOND, FIRST);
    assert_heard(ANN, "at A/0, 1:last words");
    assert_heard(BOB, "at A/0");
    assert_int_equal(shard_of(FIRST)->subscription_count, 1);
    assert_int_equal(shard_of(FIRST)->waiting_bytes, 0);
}

static void frame_that_does_not_belong_ends_the_link_and_no_other(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    put_frame(BOB, FIRST, &(struct router_frame){.kind = FRAME_OWNING});
    settle();
    assert_false(ends[FIRST][BOB].is_up);
    put_frame(
        SECOND, FIRST,
        &(struct router_frame){.kind = FRAME_SUBSCRIBE, .channel = "room", .channel_size = 4});
    settle();
    assert_false(ends[FIRST][SECOND].is_up);
    publish(ANN, FIRST, "hello");
    pass(2000);
    assert_heard(ANN, "at A/0, 1:hello, ack 1 at A/1");
}

static void silent_gateway_is_dropped_and_a_quiet_one_is_not(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    subscribe(BOB, FIRST);
    silence(BOB, FIRST);
    pass(1450);
    assert_true(ends[FIRST][BOB].is_up);
    pass(50);
    assert_false(ends[FIRST][BOB].is_up);
    pass(5000);
    assert_true(ends[FIRST][ANN].is_up);
    assert_int_equal(shard_of(FIRST)->subscription_count, 1);
}

static void gateways_are_told_which_routers_there_are(void **state)
{
    (void)state;
    assert_string_equal(ends[ANN][FIRST].members, "0 1");
    assert_string_equal(ends[BOB][SECOND].members, "1 0");
    add_router(THIRD);
    assert_string_equal(ends[ANN][FIRST].members, "0 1 2");
    cut(FIRST, SECOND);
    assert_string_equal(ends[ANN][FIRST].members, "0 2");
    shard_leave(shard_of(THIRD), now_ms);
    settle();
    assert_string_equal(ends[ANN][FIRST].members, "0 2-");
    assert_string_equal(ends[ANN][THIRD].members, "2- 0 1");
}

/* Forgetting. */

static void channel_without_subscribers_and_history_is_forgotten_everywhere(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    publish(ANN, FIRST, "hello");
    unsubscribe(ANN, FIRST);
    assert_roles("owner mirror -");
    pass(settings.history.ttl_ms - TICK_MS);
    assert_roles("owner mirror -");
    pass(15000);
    assert_roles("- - -");
    for (int router = FIRST; router <= THIRD; router++) {
        assert_int_equal(shard_of(router)->map.count, 0);
        assert_int_equal(shard_of(router)->owned_count, 0);
    }
}

static void mirror_forgets_with_its_owner(void **state)
{
    (void)state;
    publish(ANN, FIRST, "hello");
    assert_roles("owner mirror -");
    while (shard_of(FIRST)->map.count > 0)
        pass(TICK_MS);
    assert_roles("- - -");
}

static void channel_with_a_subscriber_stays(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    publish(BOB, FIRST, "hello");
    pass(settings.history.ttl_ms + 20000);
    assert_roles("owner mirror -");
    publish(BOB, FIRST, "still there");
    assert_heard(ANN, "at A/0, 1:hello, 2:still there");
}

static int owner_of(const char *channel)
{
    size_t size = strlen(channel);

    return placement_score(shard_of(FIRST)->seed, channel, size) >
                   placement_score(shard_of(SECOND)->seed, channel, size)
               ? FIRST
               : SECOND;
}

static void channels_once_used_leave_no_memory(void **state)
{
    const uint64_t count = 100000;
    char channel[32];

    (void)state;
    settings.history.ttl_ms = 1000;
    settings.history.memory_limit = (uint64_t)1 << 30;
    add_router(FIRST);
    add_router(SECOND);
    for (uint64_t i = 1; i <= count; i++) {
        snprintf(channel, sizeof(channel), "channel:%u", (unsigned)i);
        publish_as(BOB, owner_of(channel), channel, i, 0, "hello");
        processes[BOB].heard.size = 0;
    }
    for (int router = FIRST; router <= SECOND; router++) {
        assert_int_equal(shard_of(router)->map.count, count);
        assert_true(shard_of(router)->histories.memory > count * 100);
    }
    pass(60000);
    for (int router = FIRST; router <= SECOND; router++) {
        assert_int_equal(shard_of(router)->map.count, 0);
        assert_in_range(shard_of(router)->map.slot_count, 0, 64);
        assert_int_equal(shard_of(router)->histories.memory, 0);
        assert_int_equal(shard_of(router)->owned_count, 0);
    }
}

static void what_happens_is_counted(void **state)
{
    struct shard_stats *stats = &shard_of(FIRST)->stats;

    (void)state;
    subscribe(ANN, FIRST);
    subscribe(BOB, FIRST);
    publish(BOB, FIRST, "one");
    publish(BOB, FIRST, "two");
    pass(TICK_MS);
    assert_true(metric_read(&stats->places) == 1);
    assert_true(metric_read(&stats->owned) == 1);
    assert_true(metric_read(&stats->subscriptions) == 2);
    assert_true(metric_read(&stats->gateways) == 2);
    assert_true(metric_read(&stats->peers) == 1);
    assert_true(metric_read(&stats->published) == 2);
    assert_true(metric_read(&stats->alone) == 0);
    assert_true(metric_read(&stats->delivered) == 4);
    assert_true(metric_read(&stats->waiting_bytes) == 0);
    assert_true(metric_read(&stats->history_bytes) > 0);
    assert_true(metric_read(&shard_of(SECOND)->stats.owned) == 0);
    assert_true(metric_read(&shard_of(SECOND)->stats.places) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_belongs_to_the_first_router),
        CLUSTER_TEST(channel_is_served_by_the_best_router_and_others_say_where_it_is, start_three),
        CLUSTER_TEST(every_subscriber_is_given_each_message_once_and_in_order, start_two),
        CLUSTER_TEST(publish_is_acknowledged_at_once_where_there_is_no_other_router, start_one),
        CLUSTER_TEST(router_that_has_not_looked_for_others_lets_requests_wait, start_none),
        CLUSTER_TEST(subscription_from_an_old_position_gets_exactly_what_it_missed, start_two),
        CLUSTER_TEST(subscription_without_a_position_gets_what_comes, start_two),
        CLUSTER_TEST(subscription_that_cannot_be_continued_is_told, start_two),
        CLUSTER_TEST(who_has_an_acknowledgement_of_what_is_gone_is_told, start_two),
        CLUSTER_TEST(history_that_expired_loses_nobody_who_had_seen_all, start_two),
        CLUSTER_TEST(asking_again_doubles_no_delivery, start_two),
        CLUSTER_TEST(who_unsubscribed_hears_no_more, start_two),
        CLUSTER_TEST(subscription_withdrawn_while_it_waits_is_forgotten, start_two),
        CLUSTER_TEST(repeated_publish_is_acknowledged_again_and_delivered_once, start_two),
        CLUSTER_TEST(older_publish_is_acknowledged_without_its_place, start_two),
        CLUSTER_TEST(repetition_waits_for_the_mirror_as_the_first_did, start_two),
        CLUSTER_TEST(same_sequence_of_another_gateway_is_another_message, start_two),
        CLUSTER_TEST(publish_after_a_missing_one_is_refused, start_two),
        CLUSTER_TEST(publish_without_a_sequence_is_refused_for_good, start_two),
        CLUSTER_TEST(what_has_no_room_is_refused_as_busy_and_the_rest_goes_on, start_two),
        CLUSTER_TEST(message_that_is_larger_than_all_room_is_taken_alone, start_two),
        CLUSTER_TEST(requests_that_wait_have_a_limit, start_two),
        CLUSTER_TEST(memory_of_channels_has_a_limit, start_none),
        CLUSTER_TEST(messages_that_leave_their_history_for_room_are_counted, start_none),
        CLUSTER_TEST(channels_have_a_limit, start_none),
        CLUSTER_TEST(gateway_that_is_gone_leaves_nothing_but_its_messages, start_two),
        CLUSTER_TEST(frame_that_does_not_belong_ends_the_link_and_no_other, start_two),
        CLUSTER_TEST(silent_gateway_is_dropped_and_a_quiet_one_is_not, start_two),
        CLUSTER_TEST(gateways_are_told_which_routers_there_are, start_two),
        CLUSTER_TEST(channel_without_subscribers_and_history_is_forgotten_everywhere, start_three),
        CLUSTER_TEST(mirror_forgets_with_its_owner, start_two),
        CLUSTER_TEST(channel_with_a_subscriber_stays, start_two),
        CLUSTER_TEST(channels_once_used_leave_no_memory, start_none),
        CLUSTER_TEST(what_happens_is_counted, start_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
