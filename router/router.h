/* The process: signals, the admin listener, the workers, and the way down. */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "router/config.h"

/* Runs until a signal ends it; the exit code of the process. */
int router_run(const struct config *config);

#endif
