/* What the files of router_link.h tell each other: router_link.c (life, reading, sending) and
 * router_link_handshake.c. */
#ifndef COMMON_ROUTER_LINK_PARTS_H
#define COMMON_ROUTER_LINK_PARTS_H

#include "common/router_link.h"

/* Sends whatever the state. */
void router_link_send_now(struct router_link *link, const struct router_frame *frame);

/* A dialer is connected. */
void router_link_say_hello(struct router_link *link);

/* Takes a frame of the handshake; false where it is out of turn. */
bool router_link_receive_handshake(struct router_link *link, const struct router_frame *frame);

#endif
