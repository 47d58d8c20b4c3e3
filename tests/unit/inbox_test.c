#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/inbox.h"
#include "common/memory.h"

#define PRODUCERS      4
#define ITEMS_EACH     20000
#define RECORDED_LIMIT 64

struct note {
    struct inbox_item item;
    unsigned producer;
    unsigned number;
};

/* An inbox on its own loop, and what it received. */
struct mailbox {
    uv_loop_t loop;
    struct inbox inbox;
    struct mailbox *answer_to; /* where a note goes on to, NULL for none */
    unsigned limit;            /* a note with this number goes no further */
    unsigned count;            /* notes received */
    unsigned expected;         /* after so many the inbox is closed */
    unsigned numbers[RECORDED_LIMIT];
    unsigned next[PRODUCERS]; /* the number that each producer is to bring next */
    bool is_in_order;         /* they did; cmocka's assertions are for the main thread */
};

static struct mailbox mailbox;

static struct note *make_note(unsigned producer, unsigned number)
{
    struct note *note = memory_zeroed(1, sizeof(*note));

    note->producer = producer;
    note->number = number;
    return note;
}

static void post(struct mailbox *to, unsigned number)
{
    inbox_post(&to->inbox, &make_note(0, number)->item);
}

/* Frees every note, as the owner of an item may. */
static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct mailbox *box = container_of(inbox, struct mailbox, inbox);
    struct note *note = container_of(item, struct note, item);

    if (box->count < RECORDED_LIMIT)
        box->numbers[box->count] = note->number;
    if (note->number != box->next[note->producer]++)
        box->is_in_order = false;
    box->count++;
    if (box->answer_to && note->number < box->limit)
        post(box->answer_to, note->number + (box->answer_to == box));
    memory_free(note);
    if (box->count == box->expected)
        inbox_close(&box->inbox);
}

static void open_mailbox(struct mailbox *box)
{
    memset(box, 0, sizeof(*box));
    box->is_in_order = true;
    assert_int_equal(uv_loop_init(&box->loop), 0);
    assert_int_equal(inbox_init(&box->inbox, &box->loop, receive), 0);
}

static void close_mailbox(struct mailbox *box)
{
    if (!uv_is_closing((uv_handle_t *)&box->inbox.wakeup))
        inbox_close(&box->inbox);
    uv_run(&box->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&box->loop), 0);
    assert_true(box->is_in_order);
}

static int setup(void **state)
{
    (void)state;
    open_mailbox(&mailbox);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_mailbox(&mailbox);
    return 0;
}

static void items_wait_until_the_loop_runs(void **state)
{
    (void)state;
    post(&mailbox, 0);
    assert_int_equal(mailbox.count, 0);
    uv_run(&mailbox.loop, UV_RUN_ONCE);
    assert_int_equal(mailbox.count, 1);
}

static void burst_arrives_in_one_iteration_oldest_first(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RECORDED_LIMIT; i++)
        post(&mailbox, i);
    uv_run(&mailbox.loop, UV_RUN_ONCE);
    assert_int_equal(mailbox.count, RECORDED_LIMIT);
    for (unsigned i = 0; i < RECORDED_LIMIT; i++)
        assert_int_equal(mailbox.numbers[i], i);
}

static void every_burst_wakes_the_loop_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        post(&mailbox, 2 * i);
        post(&mailbox, 2 * i + 1);
        uv_run(&mailbox.loop, UV_RUN_ONCE);
        assert_int_equal(mailbox.count, 2 * i + 2);
    }
}

static void drain_needs_no_wakeup(void **state)
{
    (void)state;
    inbox_drain(&mailbox.inbox);
    assert_int_equal(mailbox.count, 0);
    post(&mailbox, 0);
    post(&mailbox, 1);
    inbox_drain(&mailbox.inbox);
    assert_int_equal(mailbox.count, 2);
    uv_run(&mailbox.loop, UV_RUN_NOWAIT); /* the wake-up of then finds nothing */
    assert_int_equal(mailbox.count, 2);
    post(&mailbox, 2);
    uv_run(&mailbox.loop, UV_RUN_ONCE);
    assert_int_equal(mailbox.count, 3);
}

static void item_posted_while_receiving_comes_after_the_batch(void **state)
{
    (void)state;
    mailbox.answer_to = &mailbox;
    mailbox.limit = 1;
    post(&mailbox, 0);
    inbox_drain(&mailbox.inbox);
    assert_int_equal(mailbox.count, 1); /* what the queue held, not what joined it meanwhile */
    while (mailbox.count < 2)
        uv_run(&mailbox.loop, UV_RUN_ONCE);
    assert_int_equal(mailbox.numbers[1], 1);
}

static void inbox_may_be_closed_while_receiving(void **state)
{
    (void)state;
    mailbox.expected = 2;
    for (unsigned i = 0; i < 4; i++)
        post(&mailbox, i);
    uv_run(&mailbox.loop, UV_RUN_DEFAULT); /* ends, because nothing else is on the loop */
    assert_int_equal(mailbox.count, 4);
}

struct producer {
    uv_thread_t thread;
    unsigned index;
};

static void produce(void *argument)
{
    const struct producer *producer = argument;

    for (unsigned i = 0; i < ITEMS_EACH; i++)
        inbox_post(&mailbox.inbox, &make_note(producer->index, i)->item);
}

/* No wake-up is lost either, or the loop would sleep for ever. */
static void every_item_of_every_producer_arrives_in_its_order(void **state)
{
    (void)state;
    struct producer producers[PRODUCERS];

    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i].index = i;
        assert_int_equal(uv_thread_create(&producers[i].thread, produce, &producers[i]), 0);
    }
    while (mailbox.count < PRODUCERS * ITEMS_EACH)
        uv_run(&mailbox.loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        uv_thread_join(&producers[i].thread);
        assert_int_equal(mailbox.next[i], ITEMS_EACH);
    }
    uv_run(&mailbox.loop, UV_RUN_NOWAIT);
    assert_int_equal(mailbox.count, PRODUCERS * ITEMS_EACH);
}

#define ROUNDS 2000

static struct mailbox far_mailbox;

static void run_far_loop(void *argument)
{
    (void)argument;
    while (far_mailbox.count < ROUNDS)
        uv_run(&far_mailbox.loop, UV_RUN_ONCE);
}

/* One item at a time, so that either loop sleeps before each: a lost wake-up would end it here. */
static void loops_wake_each_other(void **state)
{
    (void)state;
    uv_thread_t thread;

    open_mailbox(&far_mailbox);
    far_mailbox.answer_to = &mailbox;
    far_mailbox.limit = ROUNDS;
    assert_int_equal(uv_thread_create(&thread, run_far_loop, NULL), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        post(&far_mailbox, i);
        while (mailbox.count <= i)
            uv_run(&mailbox.loop, UV_RUN_ONCE);
    }
    uv_thread_join(&thread);
    assert_int_equal(mailbox.count, ROUNDS);
    close_mailbox(&far_mailbox);
}

#define WITH_MAILBOX(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MAILBOX(items_wait_until_the_loop_runs),
        WITH_MAILBOX(burst_arrives_in_one_iteration_oldest_first),
        WITH_MAILBOX(every_burst_wakes_the_loop_again),
        WITH_MAILBOX(drain_needs_no_wakeup),
        WITH_MAILBOX(item_posted_while_receiving_comes_after_the_batch),
        WITH_MAILBOX(inbox_may_be_closed_while_receiving),
        WITH_MAILBOX(every_item_of_every_producer_arrives_in_its_order),
        WITH_MAILBOX(loops_wake_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
