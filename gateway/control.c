/*
 * Who is there is known by what was heard: each gateway says so every few seconds, and at once to
 * one that is new, so that a gateway that has just come knows the others after a moment.
 */
#include "gateway/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "gateway/emulation.h"
#include "gateway/hub.h"

#define CHANNEL_FOR_ALL_GATEWAYS                                                                   \
    "\x01"                                                                                         \
    "control"
#define CHANNEL_SIZE 32

/* No client can name a channel that begins so. */
#define FIRST_BYTE '\x01'

/* Channels that a gateway listens to. */
#define OF_ALL  1u
#define OF_NODE 2u

static void name_channel(char name[CHANNEL_SIZE], uint64_t node)
{
    if (node)
        snprintf(name, CHANNEL_SIZE, "\x01node:%016" PRIx64, node);
    else
        snprintf(name, CHANNEL_SIZE, "%s", CHANNEL_FOR_ALL_GATEWAYS);
}

/* Saying. */

static struct message *write_act(struct control *control, uint64_t node,
                                 Carillon__Control__Control *act)
{
    char name[CHANNEL_SIZE];
    struct buffer data = {0};
    struct message *message;
    size_t size;

    act->node = control->id;
    size = carillon__control__control__get_packed_size(act);
    data.size = carillon__control__control__pack(act, buffer_reserve(&data, size + 1));
    name_channel(name, node);
    message = message_write(&(struct message_draft){
        .kind = MESSAGE_CONTROL,
        .channel = text_of(name),
        .data = {(const char *)data.data, data.size},
    });
    buffer_deinit(&data);
    return message;
}

static void publish(struct control *control, uint64_t node, Carillon__Control__Control *act,
                    struct bus_publish *publish)
{
    struct bus *bus = control->hub ? control->hub->bus : NULL;

    publish->message = write_act(control, node, act);
    if (!bus)
        publish->published(publish, UV_ECANCELED);
    else if (control->channels == 0)
        publish->published(publish, UV_ENOTSUP);
    else if (bus_state(bus) != BUS_UP)
        publish->published(publish, UV_ENOTCONN);
    else
        bus_publish(bus, publish);
}

static void on_sent(struct bus_publish *publish_, int error)
{
    struct control_sending *sending = container_of(publish_, struct control_sending, publish);

    message_unref(publish_->message);
    sending->sent(sending, error);
}

static void send_to(struct control *control, uint64_t node, struct control_sending *sending,
                    Carillon__Control__Control *act)
{
    sending->publish = (struct bus_publish){.published = on_sent};
    publish(control, node, act, &sending->publish);
}

void control_send(struct control *control, struct control_sending *sending,
                  Carillon__Control__Control *act)
{
    send_to(control, 0, sending, act);
}

static void free_sending(struct control_sending *sending, int error)
{
    (void)error;
    memory_free(sending);
}

void control_say(struct control *control, uint64_t node, Carillon__Control__Control *act)
{
    struct control_sending *sending = memory_zeroed(1, sizeof(*sending));

    sending->sent = free_sending;
    send_to(control, node, sending, act);
}

/* Being there. */

static struct control_node own_node(const struct control *control)
{
    const struct hub *hub = control->hub;
    uint64_t now_ms = loop_now_ms(hub->loop);
    struct control_node node = {
        .id = control->id,
        .heard_ms = now_ms,
        .name = (char *)control->name,
        .version = (char *)CARILLON_VERSION,
        .channels = hub->channels.count,
        .uptime_s = (now_ms - control->since_ms) / 1000,
    };

    for (unsigned i = 0; i < hub->worker_count; i++) {
        const struct worker_stats *stats = &hub->workers[i]->stats;

        node.clients += metric_read(&stats->clients);
        node.users += metric_read(&stats->users);
        node.subscriptions += metric_read(&stats->subscriptions);
    }
    return node;
}

static void say_here(struct control *control, uint64_t to, bool leaves)
{
    struct control_node node = own_node(control);
    Carillon__Control__Node here = CARILLON__CONTROL__NODE__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;

    here.name = node.name;
    here.version = node.version;
    here.clients = node.clients;
    here.users = node.users;
    here.subscriptions = node.subscriptions;
    here.channels = node.channels;
    here.uptime_s = node.uptime_s;
    here.leaves = leaves;
    act.act_case = CARILLON__CONTROL__CONTROL__ACT_HERE;
    act.here = &here;
    control_say(control, to, &act);
}

static void forget_node(struct control *control, struct control_node *node)
{
    map_remove(&control->nodes, &node->entry);
    memory_free(node->name);
    memory_free(node->version);
    memory_free(node);
}

static struct control_node *find_node(const struct control *control, uint64_t id)
{
    struct map_entry *entry = map_find(&control->nodes, (const char *)&id, sizeof(id));

    return entry ? container_of(entry, struct control_node, entry) : NULL;
}

static char *copy_name(const char *name)
{
    return memory_copy_text(name, strnlen(name, CONTROL_NAME_LIMIT));
}

/* NULL where there are too many. */
static struct control_node *add_node(struct control *control, uint64_t id)
{
    struct control_node *node;

    if (control->nodes.count >= CONTROL_NODES_LIMIT)
        return NULL;
    node = memory_zeroed(1, sizeof(*node));
    node->id = id;
    map_insert(&control->nodes, &node->entry, (const char *)&node->id, sizeof(node->id));
    return node;
}

static void hear(struct control *control, uint64_t id, const Carillon__Control__Node *here)
{
    struct control_node *node = find_node(control, id);

    if (here->leaves) {
        if (node)
            forget_node(control, node);
        return;
    }
    if (!node) {
        node = add_node(control, id);
        if (!node)
            return;
        say_here(control, id, false);
        log_event(LOG_INFO, log_name("gateway found"), log_text("name", here->name));
    }
    memory_free(node->name);
    memory_free(node->version);
    node->name = copy_name(here->name);
    node->version = copy_name(here->version);
    node->heard_ms = loop_now_ms(control->hub->loop);
    node->clients = here->clients;
    node->users = here->users;
    node->subscriptions = here->subscriptions;
    node->channels = here->channels;
    node->uptime_s = here->uptime_s;
}

static void forget_if_silent(struct map_entry *entry, void *context)
{
    struct control *control = context;
    struct control_node *node = container_of(entry, struct control_node, entry);

    if (loop_now_ms(control->hub->loop) - node->heard_ms < CONTROL_GONE_MS)
        return;
    log_event(LOG_INFO, log_name("gateway gone"), log_text("name", node->name));
    forget_node(control, node);
}

static void set_unheard(struct control *control, unsigned unheard)
{
    control->unheard = unheard;
    atomic_store(&control->hub->status->is_hearing, unheard == 0);
}

static void hear_itself(struct control *control, const struct message *message)
{
    char own[CHANNEL_SIZE];

    if (control->unheard == 0)
        return;
    name_channel(own, control->id);
    set_unheard(control,
                control->unheard & ~(strcmp(message->channel, own) == 0 ? OF_NODE : OF_ALL));
    if (control->unheard == 0)
        loop_wait(control->hub->loop, &control->pulse, CONTROL_HERE_MS);
}

/* Until it has heard itself everywhere. */
static void talk_to_itself(struct control *control)
{
    if (loop_now_ms(control->hub->loop) >= control->deaf_ms) {
        log_event(LOG_WARNING, log_name("what is done on other gateways is not heard here"),
                  log_text("bus", bus_name(control->hub->bus)));
        set_unheard(control, 0);
    } else if (control->unheard & OF_NODE) {
        say_here(control, control->id, false);
    }
}

static void on_pulse(struct waiter *waiter)
{
    struct control *control = container_of(waiter, struct control, pulse);
    bool is_up = control->hub->bus && bus_state(control->hub->bus) == BUS_UP;

    /* While the bus is away nobody is heard, and nobody has gone for that. */
    if (is_up) {
        map_each(&control->nodes, forget_if_silent, control);
        say_here(control, 0, false);
    }
    if (is_up && control->unheard != 0)
        talk_to_itself(control);
    loop_wait(control->hub->loop, &control->pulse,
              is_up && control->unheard != 0 ? CONTROL_AGAIN_MS : CONTROL_HERE_MS);
}

static void hear_again(struct map_entry *entry, void *context)
{
    struct control *control = context;

    container_of(entry, struct control_node, entry)->heard_ms = loop_now_ms(control->hub->loop);
}

void control_bus_is_up(struct control *control)
{
    if (!control->hub || control->channels == 0)
        return;
    control->sure_ms = loop_now_ms(control->hub->loop) + CONTROL_SURE_MS;
    control->deaf_ms = loop_now_ms(control->hub->loop) + CONTROL_DEAF_MS;
    set_unheard(control, OF_ALL | OF_NODE);
    map_each(&control->nodes, hear_again, control);
    on_pulse(&control->pulse);
}

struct node_visit {
    void (*visit)(const struct control_node *node, void *context);
    void *context;
};

static void visit_node(struct map_entry *entry, void *context)
{
    const struct node_visit *visit = context;

    visit->visit(container_of(entry, struct control_node, entry), visit->context);
}

void control_each_node(struct control *control,
                       void (*visit)(const struct control_node *node, void *context), void *context)
{
    struct control_node own = own_node(control);

    visit(&own, context);
    map_look(&control->nodes, 0, control->nodes.slot_count, visit_node,
             &(struct node_visit){visit, context});
}

/* Hearing. */

static void tell(struct hub *hub, struct worker *worker, struct message *message)
{
    struct control_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = COMMAND_CONTROL;
    command->command.worker = worker;
    command->message = message_ref(message);
    hub_post(hub, worker, &command->command, message);
}

static void tell_workers(struct hub *hub, struct message *message)
{
    for (unsigned i = 0; i < hub->worker_count; i++)
        tell(hub, hub->workers[i], message);
}

/* A session's name says whose it is. The clients of a worker that is handed no messages come back
 * anyway. */
static void tell_worker_of(struct hub *hub, const char *session, struct message *message)
{
    unsigned index = emulation_worker_of(text_of(session));

    if (index < hub->worker_count && !hub_leaves_out(hub, hub->workers[index]))
        tell(hub, hub->workers[index], message);
}

static void obey(struct control *control, const Carillon__Control__Control *act,
                 struct message *message)
{
    switch (act->act_case) {
    case CARILLON__CONTROL__CONTROL__ACT_HERE:
        if (act->node == control->id)
            hear_itself(control, message);
        else
            hear(control, act->node, act->here);
        break;
    case CARILLON__CONTROL__CONTROL__ACT_SURVEY:
        control_survey_asked(control, act->node, act->survey);
        break;
    case CARILLON__CONTROL__CONTROL__ACT_FOUND:
        control_survey_found(control, act->found);
        break;
    case CARILLON__CONTROL__CONTROL__ACT_EMULATE:
        tell_worker_of(control->hub, act->emulate->session, message);
        break;
    case CARILLON__CONTROL__CONTROL__ACT__NOT_SET:
        break; /* of a newer gateway */
    default:
        tell_workers(control->hub, message);
    }
}

static bool is_gone(const struct control *control, uint64_t node)
{
    if (node == 0)
        return true;
    return control->hub && node != control->id && control->sure_ms > 0 &&
           loop_now_ms(control->hub->loop) >= control->sure_ms && !find_node(control, node);
}

void control_send_to_node(struct control *control, uint64_t node, struct control_sending *sending,
                          Carillon__Control__Control *act)
{
    if (is_gone(control, node)) {
        sending->sent(sending, UV_ENOENT);
        return;
    }
    if (node != control->id || !control->hub) {
        send_to(control, node, sending, act);
        return;
    }

    struct message *message = write_act(control, node, act);

    obey(control, act, message);
    message_unref(message);
    sending->sent(sending, 0);
}

bool control_receive(struct control *control, struct message *message)
{
    Carillon__Control__Control *act;

    if (message->channel[0] != FIRST_BYTE)
        return false;
    control->heard++;
    if (!control->hub || message->kind != MESSAGE_CONTROL)
        return true;
    act = carillon__control__control__unpack(NULL, message->data_size, message->data);
    if (act)
        obey(control, act, message);
    else
        log_event(LOG_WARNING, log_name("a gateway said what cannot be read"));
    carillon__control__control__free_unpacked(act, NULL);
    return true;
}

/* Beginning and end. */

static void listen_to(struct control *control, uint64_t node)
{
    char channel[CHANNEL_SIZE];

    name_channel(channel, node);
    bus_subscribe(control->hub->bus, channel, strlen(channel));
    control->channels++;
}

void control_start(struct control *control, struct hub *hub, uint64_t id, const char *name)
{
    *control =
        (struct control){.hub = hub, .id = id, .name = name, .since_ms = loop_now_ms(hub->loop)};
    list_init(&control->surveys);
    list_init(&control->answering);
    waiter_init(&control->pulse, on_pulse);
    listen_to(control, id);
    listen_to(control, 0);
    control->deaf_ms = control->since_ms + CONTROL_DEAF_MS;
    set_unheard(control, OF_ALL | OF_NODE);
    on_pulse(&control->pulse);
}

void control_stop(struct control *control)
{
    if (!control->hub)
        return;
    control_surveys_end(control);
    say_here(control, 0, true); /* which a bus may hand back at once */
    loop_cancel(control->hub->loop, &control->pulse);
    control->hub = NULL;
}

static void free_node(struct map_entry *entry, void *context)
{
    forget_node(context, container_of(entry, struct control_node, entry));
}

void control_deinit(struct control *control)
{
    map_each(&control->nodes, free_node, control);
    map_deinit(&control->nodes);
}
