/* Those clients of a worker that have said who they are (the channel protocol's connect), by id and
 * by user. Part of struct session_host; belongs to the worker's loop. */
#ifndef GATEWAY_CLIENTS_H
#define GATEWAY_CLIENTS_H

#include <stddef.h>

#include "common/list.h"
#include "common/map.h"
#include "common/text.h"

struct client;

/* A client's place among them. */
struct client_place {
    struct map_entry by_id;
    struct list user_link;
    struct client_user *user;
};

struct clients {
    struct map by_id;
    struct map by_user;    /* struct client_user */
    struct map by_session; /* struct client_stream: those that have a stream and no WebSocket */
    struct list held;      /* of those, the ones whose commands wait for the hub; oldest first */
    struct list replying;  /* struct client: with replies that wait for the end of the tick */
};

void clients_init(struct clients *clients);

/* Frees what is kept; no client is left. */
void clients_deinit(struct clients *clients);

/* `id` must live as long as the place is in use. */
void clients_add(struct clients *clients, struct client_place *place, struct text id,
                 struct text user);

/* Harmless if it was not added. */
void clients_remove(struct clients *clients, struct client_place *place);

/* The place of that client, or NULL. */
struct client_place *clients_find(const struct clients *clients, struct text id);

/* Calls `visit` for each client of a user; it may remove that one, and no other. */
void clients_each_of_user(const struct clients *clients, struct text user,
                          void (*visit)(struct client_place *place, void *context), void *context);

size_t clients_count(const struct clients *clients);
size_t clients_user_count(const struct clients *clients);

#endif
