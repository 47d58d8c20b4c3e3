#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/inbox.h"
#include "common/memory.h"
#include "common/wakeups.h"

#define ITEMS 16

/* A loop that posts, with wakeups, and one that receives; both on this thread. */
static uv_loop_t poster, receiver;
static struct wakeups wakeups;
static struct inbox inbox;
static uv_idle_t source;
static struct inbox_item items[ITEMS];
static unsigned posted, received;
static bool is_stopped_amid;

static void on_item(struct inbox *from, struct inbox_item *item)
{
    (void)from;
    assert_ptr_equal(item, &items[received]);
    received++;
}

static void run_receiver(void)
{
    uv_run(&receiver, UV_RUN_NOWAIT);
}

/* In the poll phase, as a socket's bytes would be: what an async handle calls. */
static void on_signalled(uv_async_t *handle)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        inbox_post(&inbox, &items[posted++]);
        run_receiver(); /* it was not woken, and receives nothing */
        assert_int_equal(received, 0);
    }
    if (is_stopped_amid)
        wakeups_stop(&wakeups);
    uv_close((uv_handle_t *)handle, NULL);
}

static void post_in_poll(void)
{
    static uv_async_t signal;

    assert_int_equal(uv_async_init(&poster, &signal, on_signalled), 0);
    uv_async_send(&signal);
    uv_run(&poster, UV_RUN_DEFAULT); /* which ends: the wakeups keep no loop alive */
    assert_int_equal(posted, ITEMS);
}

static int set_up(void **state)
{
    (void)state;
    posted = received = 0;
    is_stopped_amid = false;
    assert_int_equal(uv_loop_init(&poster), 0);
    assert_int_equal(uv_loop_init(&receiver), 0);
    assert_int_equal(inbox_init(&inbox, &receiver, on_item), 0);
    assert_int_equal(wakeups_start(&wakeups, &poster), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    inbox_close(&inbox);
    uv_run(&receiver, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&receiver), 0);
    if (!is_stopped_amid)
        wakeups_stop(&wakeups);
    uv_run(&poster, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&poster), 0);
    return 0;
}

static void receiver_is_woken_once_for_all_that_was_posted_in_a_poll(void **state)
{
    (void)state;
    post_in_poll();
    run_receiver();
    assert_int_equal(received, ITEMS);
}

static void what_is_held_is_sent_when_they_stop(void **state)
{
    (void)state;
    is_stopped_amid = true;
    post_in_poll();
    run_receiver();
    assert_int_equal(received, ITEMS);
}

static void on_idle(uv_idle_t *handle)
{
    inbox_post(&inbox, &items[posted++]);
    run_receiver();
    assert_int_equal(received, posted);
    uv_close((uv_handle_t *)handle, NULL);
}

static void posts_outside_of_the_poll_wake_at_once(void **state)
{
    (void)state;
    assert_int_equal(uv_idle_init(&poster, &source), 0);
    assert_int_equal(uv_idle_start(&source, on_idle), 0);
    uv_run(&poster, UV_RUN_DEFAULT);
    assert_int_equal(received, 1);
    inbox_post(&inbox, &items[posted++]);
    run_receiver();
    assert_int_equal(received, 2);
}

static void a_loop_with_more_to_do_sends_them_early(void **state)
{
    (void)state;
    inbox_begin_poll(&poster);
    inbox_post(&inbox, &items[posted++]);
    run_receiver();
    assert_int_equal(received, 0);
    inbox_send_wakeups();
    run_receiver();
    assert_int_equal(received, 1);
    inbox_end_poll();
}

/* What a loop posts to inboxes of its own: here two, which hand one item to and fro. */

struct player {
    struct inbox inbox;
    struct player *other;
    unsigned count;
    unsigned limit; /* of what it takes; then it keeps the item and closes */
};

static struct player players[2];

static void on_turn(struct inbox *from, struct inbox_item *item)
{
    struct player *player = container_of(from, struct player, inbox);

    player->count++;
    if (player->count < player->limit)
        inbox_post(&player->other->inbox, item);
    else
        inbox_close(&player->other->inbox);
}

static void start_players(unsigned limit)
{
    memset(players, 0, sizeof(players));
    for (size_t i = 0; i < 2; i++) {
        players[i].other = &players[1 - i];
        players[i].limit = limit;
        assert_int_equal(inbox_init(&players[i].inbox, &poster, on_turn), 0);
    }
}

static void on_serve(uv_async_t *handle)
{
    inbox_post(&players[0].inbox, &items[0]);
    assert_int_equal(players[0].count, 0); /* not amid what reads */
    uv_close((uv_handle_t *)handle, NULL);
}

/* One iteration, whose poll finds the first turn. */
static void serve(void)
{
    static uv_async_t signal;

    assert_int_equal(uv_async_init(&poster, &signal, on_serve), 0);
    uv_async_send(&signal);
    uv_run(&poster, UV_RUN_NOWAIT);
}

static void a_loop_receives_from_itself_at_the_end_of_the_poll(void **state)
{
    (void)state;
    start_players(2);
    serve();
    assert_int_equal(players[0].count, 1);
    assert_int_equal(players[1].count, 1);
    uv_run(&poster, UV_RUN_NOWAIT);
    assert_int_equal(players[0].count, 2);
    inbox_close(&players[0].inbox); /* it closed the other one */
}

static void a_loop_that_is_busy_with_itself_serves_its_sockets(void **state)
{
    (void)state;
    start_players(1000);
    serve();

    unsigned first = players[0].count + players[1].count;

    assert_true(first > 1 && first < 20);
    uv_run(&poster, UV_RUN_NOWAIT); /* and it goes on where nothing else wakes it */
    assert_true(players[0].count + players[1].count > first);
    for (size_t i = 0; i < 2; i++)
        inbox_close(&players[i].inbox);
}

static void what_is_closed_amid_the_poll_is_left_alone(void **state)
{
    (void)state;
    start_players(1000);
    inbox_begin_poll(&poster);
    inbox_post(&players[0].inbox, &items[0]);
    for (size_t i = 0; i < 2; i++) {
        inbox_drain(&players[i].inbox);
        inbox_close(&players[i].inbox);
    }
    uv_run(&poster, UV_RUN_NOWAIT); /* whose closing phase is their end */
    memset(players, 0xff, sizeof(players));
    inbox_end_poll();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(receiver_is_woken_once_for_all_that_was_posted_in_a_poll),
        TEST(what_is_held_is_sent_when_they_stop),
        TEST(posts_outside_of_the_poll_wake_at_once),
        TEST(a_loop_with_more_to_do_sends_them_early),
        TEST(a_loop_receives_from_itself_at_the_end_of_the_poll),
        TEST(a_loop_that_is_busy_with_itself_serves_its_sockets),
        TEST(what_is_closed_amid_the_poll_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
