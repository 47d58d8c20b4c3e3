/* What the files of a router client tell each other: router_client.c (routes and publishes),
 * router_client_links.c (which router is the best), router_client_asks.c (presence and history
 * asks) and router_client_presence.c (who is announced). */
#ifndef GATEWAY_ROUTER_CLIENT_PARTS_H
#define GATEWAY_ROUTER_CLIENT_PARTS_H

#include "gateway/router_client.h"

/* router_client.c */

/* The router where the channel is subscribed, or asked for, or NULL. */
struct router_client_link *client_home(const struct router_client *client, const char *channel,
                                       size_t channel_size);

/* router_client_links.c */

/* The best router for a channel of those that are linked, or NULL where there is none. One that is
 * leaving is best only where there is no other. */
struct router_client_link *client_links_best(const struct list *links, const char *channel,
                                             size_t channel_size);

struct router_client_link *client_links_find(const struct list *links, uint64_t node);

/* True if a router that `link` knows and we cannot reach would be better for the channel. */
bool client_links_lack_better(const struct list *links, const struct router_client_link *link,
                              const char *channel, size_t channel_size);

/* router_client_asks.c */

/* Takes a frame that answers an ask or an announcement; false if it does not. */
bool client_asks_receive(struct router_client *client, struct router_client_link *link,
                         const struct router_frame *frame);
void client_asks_link_down(struct router_client *client, const struct router_client_link *link);
void client_asks_tick(struct router_client *client);
void client_asks_deinit(struct router_client *client);

/* router_client_presence.c */

/* A copy in one allocation, which `client` points at. */
struct router_present client_present_copy(const struct router_present *who);

/* A channel is subscribed anew: the router may not know who is there. */
void client_presence_renew(struct router_client *client, const char *channel, size_t channel_size);
/* A channel is subscribed no more. */
void client_presence_forget(struct router_client *client, const char *channel, size_t channel_size);
void client_presence_tick(struct router_client *client);
void client_presence_deinit(struct router_client *client);

#endif
