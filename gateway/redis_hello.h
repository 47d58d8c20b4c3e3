/* What makes a command connection usable: the scripts are loaded, and HELLO asks for the life of
 * the data. Part of struct redis_bus (bus_redis.h); main loop only. */
#ifndef GATEWAY_REDIS_HELLO_H
#define GATEWAY_REDIS_HELLO_H

struct redis_bus;

/* The command connection is there. Ends in redis_bus_greeted, or in the loss of the connection. */
void redis_hello_start(struct redis_bus *bus);

/* Redis does not know a script that was loaded: loads them again. */
void redis_hello_reload(struct redis_bus *bus);

#endif
