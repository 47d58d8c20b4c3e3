/*
 * Questions of workers to the bus, and announcements of who is there: the commands that carry them
 * to the hub, and the answers back. What an answer holds is copied on the hub's thread, because the
 * bus's own is gone by the time the worker sees it.
 */
#ifndef GATEWAY_ASK_H
#define GATEWAY_ASK_H

#include "gateway/command.h"

/* A question about a channel, whose `ask` the caller fills in further; then inbox_post. */
struct ask_command *ask_create(enum ask_kind kind, struct worker *worker, const char *channel,
                               size_t channel_size, void (*answered)(struct ask_command *command),
                               void *owner);

/* On the hub's thread: puts it to the bus, and posts it and those behind it (`next`) back with the
 * answer. `bus` NULL: it is closed (UV_ECANCELED). */
void ask_put(struct ask_command *command, struct bus *bus);

/* On the worker's thread: tells the owner, and frees it. */
void ask_deliver(struct ask_command *command);

/* Frees a command that was never answered, or has been. */
void ask_destroy(struct ask_command *command);

/* Somebody is on a channel, or has gone (`who->client` alone counts). */
struct presence_command *presence_command_create(struct worker *worker, const char *channel,
                                                 size_t channel_size, const struct bus_present *who,
                                                 bool is_there);

#endif
