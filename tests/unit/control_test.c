/* Two gateways that share a bus, which is a local one, and workers that the test speaks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "gateway/census.h"
#include "gateway/hub.h"

#define GATEWAYS    2
#define NAMES_BYTES ((size_t)128)

static struct loop loop;
static struct bus *bus;
static struct place {
    struct hub hub;
    struct status status;
    struct worker *worker;
    struct worker *workers[1];
    char name[16];
    Carillon__Control__Control *act; /* the last one that its worker was told */
    unsigned acts;
    const char
        *channels; /* that its worker has, a letter each, with as many clients as its number */
} places[GATEWAYS];

static const char *lost; /* what begins so does not come */

static struct {
    unsigned sent;
    int error;
    unsigned done;
    size_t missing;
    char found[128];
} heard;

static void answer_census(struct place *place, struct census_command *command)
{
    for (const char *at = place->channels; at && *at; at++) {
        struct census_channel channel = {(uint64_t)(*at - 'a' + 1), 1};

        if (command->pattern[0] != '\0' && !census_fits(command->pattern, at, 1))
            continue;
        buffer_append(&command->found, &channel, sizeof(channel));
        buffer_append(&command->found, at, 1);
    }
    command->is_done = true;
    command->command.kind = COMMAND_COUNTED;
    inbox_post(&place->hub.inbox, &command->command.item);
}

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct worker *worker = container_of(inbox, struct worker, inbox);
    struct place *place = &places[worker->index];
    struct command *command = container_of(item, struct command, item);

    if (command->kind == COMMAND_CENSUS) {
        answer_census(place, container_of(command, struct census_command, command));
        return;
    }
    assert_int_equal(command->kind, COMMAND_CONTROL);

    struct message *message = container_of(command, struct control_command, command)->message;

    carillon__control__control__free_unpacked(place->act, NULL);
    place->act = carillon__control__control__unpack(NULL, message->data_size, message->data);
    place->acts++;
    message_unref(message);
    memory_free(command);
}

/* What is for one gateway is delivered to that one alone. */
static void on_deliver(void *context, struct message *message)
{
    (void)context;
    if (lost && strncmp(message->channel, lost, strlen(lost)) == 0)
        return;
    for (size_t i = 0; i < GATEWAYS; i++) {
        char own[32];

        snprintf(own, sizeof(own), "\x01node:%016llx",
                 (unsigned long long)places[i].hub.control.id);
        if (strncmp(message->channel, "\x01node:", 6) == 0 && strcmp(message->channel, own) != 0)
            continue;
        if (places[i].hub.control.hub)
            assert_true(control_receive(&places[i].hub.control, message));
    }
}

static void on_subscribed(void *context, const char *channel, size_t size)
{
    (void)context;
    (void)channel;
    (void)size;
}

static void on_state(void *context, enum bus_state state)
{
    (void)context;
    (void)state;
    for (size_t i = 0; i < GATEWAYS; i++)
        control_bus_is_up(&places[i].hub.control);
}

static const struct bus_events events = {on_deliver, on_subscribed, on_subscribed, on_state};

/* Long enough for whatever is there to be taken, without waiting for any clock. */
static void go_on(void)
{
    for (int round = 0; round < 20; round++) {
        uv_run(&loop.uv, UV_RUN_NOWAIT);
        for (size_t i = 0; i < GATEWAYS; i++) {
            inbox_drain(&places[i].worker->inbox);
            inbox_drain(&places[i].hub.inbox);
        }
    }
}

static void begin_place(size_t i)
{
    struct place *place = &places[i];

    assert_int_equal(hub_init(&place->hub, &loop, 100, &place->status), 0);
    place->hub.bus = bus;
    place->worker = memory_zeroed(1, sizeof(*place->worker));
    place->worker->index = (unsigned)i;
    place->workers[0] = place->worker;
    place->hub.workers = memory_zeroed(1, sizeof(*place->hub.workers));
    place->hub.workers[0] = place->worker;
    place->hub.worker_count = 1;
    assert_int_equal(inbox_init(&place->worker->inbox, &loop.uv, receive), 0);
    snprintf(place->name, sizeof(place->name), "gateway %zu", i);
    control_start(&place->hub.control, &place->hub, i + 1, place->name);
}

static int set_up(void **state)
{
    (void)state;
    struct bus_settings settings = {.node_id = 1, .message_limit_bytes = 1000};
    char error[256];

    memset(places, 0, sizeof(places));
    memset(&heard, 0, sizeof(heard));
    lost = NULL;
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(bus_open(&bus, &loop, "local", &settings, &events, NULL, error), 0);
    for (size_t i = 0; i < GATEWAYS; i++)
        begin_place(i);
    go_on();
    return 0;
}

static void on_closed(void *context)
{
    (void)context;
    bus = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < GATEWAYS; i++)
        control_stop(&places[i].hub.control);
    go_on();
    bus_close(bus, on_closed, NULL);
    while (bus)
        uv_run(&loop.uv, UV_RUN_ONCE);
    for (size_t i = 0; i < GATEWAYS; i++) {
        carillon__control__control__free_unpacked(places[i].act, NULL);
        inbox_close(&places[i].worker->inbox);
        hub_close(&places[i].hub);
    }
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    for (size_t i = 0; i < GATEWAYS; i++) {
        hub_deinit(&places[i].hub);
        memory_free(places[i].worker);
    }
    loop_deinit(&loop);
    return 0;
}

static void append_name(const struct control_node *node, void *context)
{
    char *names = context;
    size_t size = strlen(names);

    snprintf(names + size, NAMES_BYTES - size, "%s;", node->name);
}

static void gateways_know_each_other(void **state)
{
    (void)state;
    char names[NAMES_BYTES] = "";

    control_each_node(&places[0].hub.control, append_name, names);
    assert_string_equal(names, "gateway 0;gateway 1;");
    names[0] = '\0';
    control_each_node(&places[1].hub.control, append_name, names);
    assert_string_equal(names, "gateway 1;gateway 0;");
}

static bool is_hearing(void)
{
    return atomic_load(&places[0].status.is_hearing);
}

static void gateway_hears_when_both_its_channels_have_brought_its_own_word(void **state)
{
    (void)state;
    static const char *const channels[] = {"\x01node:", "\x01"
                                                        "control"};

    assert_true(is_hearing());
    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
        lost = channels[i];
        control_bus_is_up(&places[0].hub.control);
        go_on();
        assert_false(is_hearing());
        lost = NULL;
        while (!is_hearing()) /* it says so again, until that comes */
            uv_run(&loop.uv, UV_RUN_ONCE);
        assert_true(loop_now_ms(&loop) < places[0].hub.control.deaf_ms);
    }
}

static void gateway_that_hears_nothing_goes_without(void **state)
{
    (void)state;
    lost = "\x01";
    control_bus_is_up(&places[0].hub.control);
    assert_false(is_hearing());
    places[0].hub.control.deaf_ms = loop_now_ms(&loop);
    while (!is_hearing())
        uv_run(&loop.uv, UV_RUN_ONCE);
}

static void gateway_that_leaves_is_forgotten(void **state)
{
    (void)state;
    char names[NAMES_BYTES] = "";

    control_stop(&places[1].hub.control);
    go_on();
    control_each_node(&places[0].hub.control, append_name, names);
    assert_string_equal(names, "gateway 0;");
}

static void on_sent(struct control_sending *sending, int error)
{
    (void)sending;
    heard.sent++;
    heard.error = error;
}

static void act_reaches_the_workers_of_all(void **state)
{
    (void)state;
    Carillon__Control__Clients clients = CARILLON__CONTROL__CLIENTS__INIT;
    Carillon__Control__Disconnect disconnect = CARILLON__CONTROL__DISCONNECT__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;
    struct control_sending sending = {.sent = on_sent};

    clients.user = "ann";
    disconnect.clients = &clients;
    disconnect.code = 4000;
    disconnect.reason = "enough";
    act.act_case = CARILLON__CONTROL__CONTROL__ACT_DISCONNECT;
    act.disconnect = &disconnect;
    control_send(&places[1].hub.control, &sending, &act);
    go_on();
    assert_int_equal(heard.sent, 1);
    assert_int_equal(heard.error, 0);
    for (size_t i = 0; i < GATEWAYS; i++) {
        assert_int_equal(places[i].acts, 1);
        assert_int_equal(places[i].act->node, 2);
        assert_int_equal(places[i].act->disconnect->code, 4000);
        assert_string_equal(places[i].act->disconnect->reason, "enough");
        assert_string_equal(places[i].act->disconnect->clients->user, "ann");
    }
}

static int emulate(const char *session, uint64_t node)
{
    Carillon__Control__Emulate emulate = CARILLON__CONTROL__EMULATE__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;
    struct control_sending sending = {.sent = on_sent};

    emulate.session = (char *)session;
    act.act_case = CARILLON__CONTROL__CONTROL__ACT_EMULATE;
    act.emulate = &emulate;
    heard.sent = 0;
    control_send_to_node(&places[0].hub.control, node, &sending, &act);
    go_on();
    assert_int_equal(heard.sent, 1);
    return heard.error;
}

static void act_for_one_gateway_reaches_that_one(void **state)
{
    (void)state;
    assert_int_equal(emulate("0-secret", 2), 0);
    assert_int_equal(places[0].acts, 0);
    assert_int_equal(places[1].acts, 1);
    assert_string_equal(places[1].act->emulate->session, "0-secret");
}

static void act_for_this_gateway_needs_no_bus(void **state)
{
    (void)state;
    places[0].hub.bus = NULL;
    assert_int_equal(emulate("0-secret", 1), 0);
    places[0].hub.bus = bus;
    assert_int_equal(places[0].acts, 1);
    assert_int_equal(places[1].acts, 0);
}

static void act_for_a_gateway_that_is_not_there_is_refused(void **state)
{
    (void)state;
    assert_int_equal(emulate("0-secret", 0), UV_ENOENT);
    assert_int_equal(emulate("0-secret", 77), 0); /* it may not have been heard yet */
    places[0].hub.control.sure_ms = 1;            /* all that are there have been heard by now */
    assert_int_equal(emulate("0-secret", 77), UV_ENOENT);
    assert_int_equal(places[0].acts + places[1].acts, 0);
}

static void session_of_no_worker_is_nobodys(void **state)
{
    static const char *const names[] = {"64-secret", "-secret", "secret", "0",
                                        "99999999999999999-x"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(emulate(names[i], 2), 0);
    assert_int_equal(places[0].acts + places[1].acts, 0);
}

static void act_is_refused_where_the_bus_is_closed(void **state)
{
    (void)state;
    Carillon__Control__Refresh refresh = CARILLON__CONTROL__REFRESH__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;
    struct control_sending sending = {.sent = on_sent};

    act.act_case = CARILLON__CONTROL__CONTROL__ACT_REFRESH;
    act.refresh = &refresh;
    places[0].hub.bus = NULL;
    control_send(&places[0].hub.control, &sending, &act);
    places[0].hub.bus = bus;
    assert_int_equal(heard.sent, 1);
    assert_int_equal(heard.error, UV_ECANCELED);
}

static void note_channel(struct map_entry *entry, void *context)
{
    const struct control_channel *channel = container_of(entry, struct control_channel, entry);

    (void)context;
    heard.found[channel->name[0] - 'a'] = (char)('0' + channel->clients);
}

static void on_surveyed(struct control_survey *survey)
{
    heard.done++;
    heard.missing = survey->missing;
    memset(heard.found, '-', 4);
    map_each(&survey->found, note_channel, NULL);
}

static void survey_adds_up_what_all_have(void **state)
{
    (void)state;
    struct control_survey survey = {.done = on_surveyed};

    places[0].channels = "abd";
    places[1].channels = "bd";
    control_survey_start(&places[0].hub.control, &survey, "");
    go_on();
    assert_int_equal(heard.done, 1);
    assert_int_equal(heard.missing, 0);
    assert_string_equal(heard.found, "14-8");
    control_survey_cancel(&survey); /* harmless */
}

static void survey_goes_by_its_pattern(void **state)
{
    (void)state;
    struct control_survey survey = {.done = on_surveyed};

    places[0].channels = "ab";
    places[1].channels = "bc";
    control_survey_start(&places[1].hub.control, &survey, "b*");
    go_on();
    assert_string_equal(heard.found, "-4--");
}

static void survey_that_is_given_up_is_not_told(void **state)
{
    (void)state;
    struct control_survey survey = {.done = on_surveyed};

    places[0].channels = "a";
    control_survey_start(&places[0].hub.control, &survey, "");
    control_survey_cancel(&survey);
    go_on();
    assert_int_equal(heard.done, 0);
}

static void survey_ends_with_the_gateway(void **state)
{
    (void)state;
    struct control_survey survey = {.done = on_surveyed};

    control_survey_start(&places[0].hub.control, &survey, "");
    control_stop(&places[0].hub.control);
    assert_int_equal(heard.done, 1);
    assert_int_equal(heard.missing, 2);
}

static void nonsense_is_passed_over(void **state)
{
    (void)state;
    struct message *message = message_create(MESSAGE_CONTROL,
                                             "\x01"
                                             "control",
                                             8, "\xff\xff", 2);
    struct message *other = message_create(MESSAGE_TEXT, "control", 7, "", 0);

    assert_true(control_receive(&places[0].hub.control, message));
    assert_false(control_receive(&places[0].hub.control, other));
    message_unref(message);
    message_unref(other);
}

static void patterns_fit_as_in_a_shell(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *name;
        bool fits;
    } cases[] = {
        {"", "", true},           {"", "a", false},
        {"*", "", true},          {"*", "abc", true},
        {"a*", "abc", true},      {"*c", "abc", true},
        {"a*c", "abc", true},     {"a*c", "abd", false},
        {"a?c", "abc", true},     {"a?c", "ac", false},
        {"?", "", false},         {"**", "x", true},
        {"*ab", "aab", true},     {"*a*b*", "xaybz", true},
        {"*aab", "aaaab", true},  {"news:*", "news:1", true},
        {"news:*", "new", false}, {"abc", "ab", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (census_fits(cases[i].pattern, cases[i].name, strlen(cases[i].name)) != cases[i].fits)
            fail_msg("%s and %s", cases[i].pattern, cases[i].name);
    }
}

#define WITH_GATEWAYS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GATEWAYS(gateways_know_each_other),
        WITH_GATEWAYS(gateway_hears_when_both_its_channels_have_brought_its_own_word),
        WITH_GATEWAYS(gateway_that_hears_nothing_goes_without),
        WITH_GATEWAYS(gateway_that_leaves_is_forgotten),
        WITH_GATEWAYS(act_reaches_the_workers_of_all),
        WITH_GATEWAYS(act_for_one_gateway_reaches_that_one),
        WITH_GATEWAYS(act_for_this_gateway_needs_no_bus),
        WITH_GATEWAYS(act_for_a_gateway_that_is_not_there_is_refused),
        WITH_GATEWAYS(session_of_no_worker_is_nobodys),
        WITH_GATEWAYS(act_is_refused_where_the_bus_is_closed),
        WITH_GATEWAYS(survey_adds_up_what_all_have),
        WITH_GATEWAYS(survey_goes_by_its_pattern),
        WITH_GATEWAYS(survey_that_is_given_up_is_not_told),
        WITH_GATEWAYS(survey_ends_with_the_gateway),
        WITH_GATEWAYS(nonsense_is_passed_over),
        cmocka_unit_test(patterns_fit_as_in_a_shell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
