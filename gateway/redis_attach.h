/*
 * Reading the history of a subscribed channel from where we stand (ATTACH), and giving Redis back
 * what it lost (RESTORE). See redis_script.c for the two scripts; main loop only.
 */
#ifndef GATEWAY_REDIS_ATTACH_H
#define GATEWAY_REDIS_ATTACH_H

struct redis_bus;
struct redis_channel;

/* Sends an ATTACH for the channel when it is its turn, if the channel needs one then. */
void redis_attach(struct redis_channel *channel);

/* Sends what may be sent now; whoever changes what holds ATTACHes back calls this. */
void redis_attach_continue(struct redis_bus *bus);

/* Queues every channel that needs an ATTACH: the command connection is there, or its rest is over.
 * What was refused before is tried again soon. */
void redis_attach_all(struct redis_bus *bus);

/* Tries again what failed and whose time has come; a few times a second. */
void redis_attach_retry(struct redis_bus *bus);

#endif
