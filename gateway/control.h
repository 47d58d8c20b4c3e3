/*
 * What the gateways of a cluster say to each other (proto/control.proto): who is there, and what is
 * to be done with clients wherever they are connected. A call on any gateway so acts on all.
 *
 * Belongs to the hub, on the main loop. What is to be done with clients goes on to the workers as
 * it came (COMMAND_CONTROL), the sender's own included: it hears itself over the bus like
 * everybody. What is said while the bus is away is refused, and not kept for later.
 *
 * That a bus is up does not mean that its servers know already what this gateway listens to; until
 * they do, what is done on another gateway with a client of this one is lost. So whenever the bus
 * has come up a gateway says where it is until it has heard itself, on both of its channels, and
 * is ready for clients only then (status.is_hearing); or after CONTROL_DEAF_MS, for a login to the
 * bus may be one that is not allowed these channels, and clients can be served without.
 */
#ifndef GATEWAY_CONTROL_H
#define GATEWAY_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/loop.h"
#include "common/map.h"
#include "common/message.h"
#include "gateway/bus.h"
#include "proto/control.pb-c.h"

#define CONTROL_HERE_MS       3000  /* between two words of being there */
#define CONTROL_AGAIN_MS      100   /* the same while it has not heard itself */
#define CONTROL_DEAF_MS       3000  /* after which it goes without */
#define CONTROL_SURE_MS       6000  /* after which all that are there have said so */
#define CONTROL_GONE_MS       10000 /* without one, a gateway is not there any more */
#define CONTROL_FOUND_MS      1000  /* for all to answer a survey */
#define CONTROL_NODES_LIMIT   1024
#define CONTROL_CHANNEL_LIMIT 100000 /* that a survey may find */
#define CONTROL_NAME_LIMIT    255    /* bytes of a gateway's name, and of its version */

struct hub;
struct census_command;

/* Another gateway, or this one. */
struct control_node {
    struct map_entry entry;
    uint64_t id;
    uint64_t heard_ms;
    char *name;
    char *version;
    uint64_t clients;
    uint64_t users; /* of each thread, so that one with several connections may count twice */
    uint64_t subscriptions;
    uint64_t channels;
    uint64_t uptime_s;
};

struct control {
    struct hub *hub; /* NULL before control_start and after control_stop */
    uint64_t id;     /* of this gateway */
    const char *name;
    uint64_t since_ms;
    uint64_t sure_ms; /* from then on all that are there have been heard; 0: the bus was never up */
    unsigned channels; /* that it has subscribed: none on a bus that does not carry such messages */
    uint64_t heard;    /* messages */
    struct map nodes;  /* the others, struct control_node */
    unsigned unheard;  /* of its channels: those on which it has not heard itself, a bit each */
    uint64_t deaf_ms;  /* when it goes without */
    struct list surveys;
    struct list answering; /* surveys of any gateway that our workers are at */
    uint64_t survey_id;
    struct waiter pulse;
};

/* A survey of the channels of all gateways, embedded in the asker's object until `done`. */
struct control_survey {
    struct list link;
    struct map found; /* struct control_channel */
    struct waiter deadline;
    uint64_t id;
    size_t missing;          /* gateways that have not answered */
    bool is_too_much;        /* there are more than CONTROL_CHANNEL_LIMIT channels */
    struct control *control; /* NULL: it is over */
    /* Comes once, maybe from inside the call that asks; the channels that were found are freed
     * afterwards. */
    void (*done)(struct control_survey *survey);
};

struct control_channel {
    struct map_entry entry; /* whose key is the name */
    uint64_t clients;
    char name[];
};

/* An act on its way. */
struct control_sending {
    /* 0, or why the bus did not take it, as in bus_publish; UV_ENOTCONN where it is away. Comes
     * once, maybe from inside control_send. */
    void (*sent)(struct control_sending *sending, int error);
    struct bus_publish publish;
};

/* The bus is there: listens, and begins to say so. `name` must outlive the control. */
void control_start(struct control *control, struct hub *hub, uint64_t id, const char *name);

/* Says that this gateway leaves, before the bus is closed. No other call may follow but
 * control_deinit. Harmless if it was never started. */
void control_stop(struct control *control);

/* Frees what is left, once the bus is closed. */
void control_deinit(struct control *control);

/* The bus has come up: says now that we are there, until that is heard. */
void control_bus_is_up(struct control *control);

/* Sends an act to all gateways. `sending` must live until `sent`. */
void control_send(struct control *control, struct control_sending *sending,
                  Carillon__Control__Control *act);

/* The same to one, which may be this one, to which it goes without the bus. UV_ENOENT where nobody
 * of that id is there; that is known a while after the bus has come up, and until then it is sent
 * to whoever may be there. */
void control_send_to_node(struct control *control, uint64_t node, struct control_sending *sending,
                          Carillon__Control__Control *act);

/* True for a message of the control channels, which it takes care of. */
bool control_receive(struct control *control, struct message *message);

/* Asks all gateways for their channels whose names fit the pattern. */
void control_survey_start(struct control *control, struct control_survey *survey,
                          const char *pattern);

/* The asker has gone. Harmless after `done`. */
void control_survey_cancel(struct control_survey *survey);

/* Calls `visit` for each gateway that is there, this one included. */
void control_each_node(struct control *control,
                       void (*visit)(const struct control_node *node, void *context),
                       void *context);

/* The parts of it that surveys are, control_survey.c. */

/* Says something of our own, whose fate nobody wants to know. `node` 0: to all. */
void control_say(struct control *control, uint64_t node, Carillon__Control__Control *act);

/* A gateway asks, or has found something. */
void control_survey_asked(struct control *control, uint64_t node,
                          const Carillon__Control__Survey *survey);
void control_survey_found(struct control *control, const Carillon__Control__Found *found);

/* A worker has counted (COMMAND_COUNTED); the command is freed. */
void control_counted(struct control *control, struct census_command *command);

/* Nobody asks any more. */
void control_surveys_end(struct control *control);

#endif
