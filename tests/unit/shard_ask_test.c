/* Questions of gateways to routers: each has one answer, whatever happens to the router. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/memory.h"
#include "tests/unit/virtual_cluster.h"

/* One router and one gateway, which see each other. The router is not open: it may not claim yet.
 */
static void set_up_closed(void)
{
    set_up(0);
    start_router(&routers[0], 1, UINT64_MAX / 2);
    connect_processes(&gateways[0], &routers[0]);
}

static void an_ask_waits_until_the_channel_has_an_owner(void **state)
{
    struct question who;
    struct question what;

    (void)state;
    set_up_closed();
    ask_who(&gateways[0], &who, "news");
    prepare(&what, "news");
    ask_history(&gateways[0], &what);
    run(1000);
    assert_int_equal(who.answers + what.answers, 0);
    shard_open(&routers[0].shard, now);
    settle();
    assert_int_equal(who.answers, 1);
    assert_int_equal(who.error, 0);
    assert_int_equal(what.answers, 1);
    assert_int_equal(what.error, 0);
    assert_string_not_equal(what.epoch, "");
    assert_int_equal(what.offset, 0);
    tear_down();
}

static void an_ask_that_nobody_answers_in_time_ends(void **state)
{
    struct question question;

    (void)state;
    set_up_closed();
    ask_who(&gateways[0], &question, "news");
    run(4900);
    assert_int_equal(question.answers, 0);
    run(200);
    assert_int_equal(question.answers, 1);
    assert_int_equal(question.error, UV_ETIMEDOUT);
    shard_open(&routers[0].shard, now); /* the answer that comes now is nobody's */
    run(1000);
    assert_int_equal(question.answers, 1);
    tear_down();
}

static void without_a_router_an_ask_ends_at_once(void **state)
{
    struct question question;

    (void)state;
    set_up(0);
    ask_who(&gateways[0], &question, "news");
    assert_int_equal(question.answers, 0); /* but not from inside the call */
    run(STEP_MS);
    assert_int_equal(question.answers, 1);
    assert_int_equal(question.error, UV_ENOTCONN);
    tear_down();
}

static void an_ask_at_the_wrong_router_is_sent_on(void **state)
{
    struct process *owner;
    struct process *other;
    struct question question;

    (void)state;
    set_up(2);
    subscribe(&gateways[0], "news");
    come(&gateways[0], "news", "ann");
    owner = owner_of("news");
    other = owner == &routers[0] ? &routers[1] : &routers[0];

    /* For this gateway the other router's name is better placed than the owner's. */
    kill_process(&gateways[1]);
    start_gateway(&gateways[1], 102);
    connect_processes(&gateways[1], other);
    connect_processes(&gateways[1], owner);
    for (struct list *at = gateways[1].client.links.next; at != &gateways[1].client.links;
         at = at->next) {
        struct router_client_link *link = container_of(at, struct router_client_link, link);

        link->is_leaving = link->node == owner->id;
    }
    sent[FRAME_REFUSED] = 0;
    ask_who(&gateways[1], &question, "news");
    assert_int_equal(sent[FRAME_REFUSED], 1);
    assert_int_equal(question.answers, 1);
    assert_string_equal(question.text, "ann");
    tear_down();
}

static void an_ask_survives_the_router_that_it_was_sent_to(void **state)
{
    struct question question;

    (void)state;
    set_up(2);
    subscribe(&gateways[0], "news");
    say(&gateways[0], "news", "hello");
    is_held = true;
    prepare(&question, "olds"); /* its claim waits for the other router */
    ask_history(&gateways[1], &question);
    assert_int_equal(question.answers, 0);
    for (int i = 0; i < ROUTERS; i++) {
        if (map_find(&routers[i].shard.map, "olds", 4)) {
            kill_process(&routers[i]);
            break;
        }
    }
    is_held = false;
    run(2000);
    assert_int_equal(question.answers, 1);
    assert_int_equal(question.error, 0);
    tear_down();
}

/* A link that leads nowhere, and the ask that was sent last over it. */
static struct router_frame last_ask;

static void on_lonely_send(void *context, struct router_client_link *link,
                           const struct router_frame *frame)
{
    (void)context;
    (void)link;
    if (frame->kind == FRAME_HISTORY_ASK)
        last_ask = *frame;
}

static void an_ask_that_is_sent_in_circles_insists(void **state)
{
    struct router_client_output output = client_output;
    struct router_client_link link = {.capabilities = ROUTER_CAPABILITIES};
    struct question question;
    unsigned moves = 0;

    (void)state;
    set_up(0);
    output.send = on_lonely_send;
    gateways[0].client.output = &output;
    router_client_link_up(&gateways[0].client, &link, 1, "router-1", now);
    prepare(&question, "news");
    router_client_history_ask(&gateways[0].client, &question.ask);
    for (; moves < 20 && !last_ask.history_ask.insist; moves++) {
        struct router_frame refusal = {.kind = FRAME_REFUSED,
                                       .channel = "news",
                                       .channel_size = 4,
                                       .refused = {.reason = REASON_MOVED,
                                                   .node = 1,
                                                   .request = last_ask.history_ask.request}};

        router_client_receive(&gateways[0].client, &link, &refusal, now);
        run(200);
    }
    assert_true(moves > 1 && moves < 20);
    router_client_link_down(&gateways[0].client, &link, now);
    tear_down();
}

static void an_old_router_is_not_bothered(void **state)
{
    struct question who;
    struct question what;

    (void)state;
    set_up(0);
    start_router(&routers[0], 1, UINT64_MAX / 2);
    shard_open(&routers[0].shard, now);
    connect_as(&gateways[0], &routers[0], ROUTER_CAN_HISTORY);
    subscribe(&gateways[0], "news");
    come(&gateways[0], "news", "ann");
    run(6000);
    go(&gateways[0], "news", "ann");
    ask_who(&gateways[0], &who, "news");
    prepare(&what, "news");
    ask_history(&gateways[0], &what);
    assert_int_equal(what.error, 0);
    run(STEP_MS);
    assert_int_equal(who.answers, 1);
    assert_int_equal(who.error, UV_ENOTSUP);
    assert_int_equal(what.answers, 1);
    assert_int_equal(
        sent[FRAME_PRESENCE_SET] + sent[FRAME_PRESENCE_REMOVE] + sent[FRAME_PRESENCE_ASK], 0);
    tear_down();
}

static void the_end_of_a_gateway_ends_its_asks(void **state)
{
    struct question question;

    (void)state;
    set_up_closed();
    ask_who(&gateways[0], &question, "news");
    kill_process(&gateways[0]);
    assert_int_equal(question.answers, 1);
    assert_int_equal(question.error, UV_ECANCELED);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ask_waits_until_the_channel_has_an_owner),
        cmocka_unit_test(an_ask_that_nobody_answers_in_time_ends),
        cmocka_unit_test(without_a_router_an_ask_ends_at_once),
        cmocka_unit_test(an_ask_at_the_wrong_router_is_sent_on),
        cmocka_unit_test(an_ask_survives_the_router_that_it_was_sent_to),
        cmocka_unit_test(an_ask_that_is_sent_in_circles_insists),
        cmocka_unit_test(an_old_router_is_not_bothered),
        cmocka_unit_test(the_end_of_a_gateway_ends_its_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
