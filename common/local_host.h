/*
 * Which names of a host can only mean this machine or its neighbours. A page of a stranger's can
 * have its own name point to 127.0.0.1 once it is loaded (DNS rebinding), and then the browser lets
 * it read whatever listens there, because to the browser that is where the page came from. What
 * betrays it is its name in the Host header. A header in, an answer out; no name is looked up.
 */
#ifndef COMMON_LOCAL_HOST_H
#define COMMON_LOCAL_HOST_H

#include <stdbool.h>
#include <sys/socket.h>

/* True for the value of a Host header that is a numeric address, `localhost`, a name below it, or
 * one without a dot, which no stranger can own; with a port or without. */
bool local_host_is(const char *host);

/* True for an address of the loopback interface. */
bool local_host_is_loopback(const struct sockaddr *address);

#endif
