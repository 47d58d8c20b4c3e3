/*
 * What is noted while a run goes on: what gateways are given and told, which publishes were
 * answered, and which messages died with the routers that had them. What must hold at every single
 * message is said here; what must hold between them is in checks.h.
 */
#ifndef TESTS_SIMULATION_WATCH_H
#define TESTS_SIMULATION_WATCH_H

#include "common/history.h"
#include "gateway/bus.h"
#include "tests/simulation/world.h"

/* What a gateway's client is given to report to; its context is the process. */
extern const struct bus_events bus_events;

/* The answer to a publish, which it frees. */
void on_published(struct bus_publish *publish, int error);

/* The same of an ephemeral one. */
void on_said(struct bus_publish *publish, int error);

/* Whether a message is in a history. */
bool has_message(const struct history *history, struct identity identity);

/* Notes the messages of a router that has died which nobody else has. */
void bury_messages(const struct process *router);
bool is_buried(int channel, struct identity identity);

#endif
