/*
 * What the gateways of a cluster say to each other (proto/control.proto): who is there, and what is
 * to be done with clients wherever they are connected. A call on any gateway so acts on all.
 *
 * Belongs to the hub, on the main loop. What is to be done with clients goes on to the workers as
 * it came (COMMAND_CONTROL), the sender's own included: it hears itself over the bus like
 * everybody.
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

#define CONTROL_HERE_MS  3000  /* between two words of being there */
#define CONTROL_GONE_MS  10000 /* without one, a gateway is not there any more */
#define CONTROL_FOUND_MS 1000  /* for all to answer a survey */

struct hub;

/* Another gateway, or this one. */
struct control_node {
    struct map_entry entry;
    uint64_t id;
    uint64_t heard_ms;
    char *name;
    char *version;
    uint64_t clients;
    uint64_t users;
    uint64_t subscriptions;
    uint64_t channels;
    uint64_t uptime_s;
};

struct control {
    struct hub *hub;
    uint64_t id; /* of this gateway */
    const char *name;
    uint64_t since_ms;
    struct map nodes;
    struct list surveys;
    struct list sending;
    uint64_t survey_id;
    struct waiter pulse;
};

/* A survey of the channels of all gateways, embedded in the asker's object until `done`. */
struct control_survey {
    struct list link;
    struct map found; /* struct control_channel */
    struct waiter deadline;
    uint64_t id;
    size_t missing; /* gateways that have not answered */
    struct control *control;
    /* Comes once, never from inside the call that asks; the channels that were found are freed
     * afterwards. */
    void (*done)(struct control_survey *survey);
};

struct control_channel {
    struct map_entry entry; /* whose key is the name */
    uint64_t clients;
};

/* An act on its way, for those who want to know that it was sent. */
struct control_sending {
    /* 0, or why the bus did not take it, as in bus_publish. NULL: nobody wants to know. */
    void (*sent)(struct control_sending *sending, int error);
    struct list link;
    struct control *control;
    struct bus_publish publish;
};

/* The bus is there: listens, and begins to say so. `name` must outlive the control. */
void control_start(struct control *control, struct hub *hub, uint64_t id, const char *name);

/* Says that this gateway leaves, before the bus is closed. No other call may follow but
 * control_deinit. */
void control_stop(struct control *control);

/* Frees what is left, once the bus is closed. */
void control_deinit(struct control *control);

/* Sends an act to all gateways. `sending` must live until `sent`. */
void control_send(struct control *control, struct control_sending *sending,
                  Carillon__Control__Control *act);

/* The same to one gateway. */
void control_send_to(struct control *control, uint64_t node, struct control_sending *sending,
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

#endif
