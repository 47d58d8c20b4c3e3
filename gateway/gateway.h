/* The whole program but for argument handling: listeners, workers, hub, bus, signals, the way down.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "gateway/settings.h"

/*
 * Runs a gateway until it is told to stop. `arguments` and `environment` are read again on SIGHUP.
 * Takes over the caller's reference to the settings. Returns the exit code of the process.
 */
int gateway_run(struct settings *settings, int argument_count, char **arguments,
                char **environment);

#endif
