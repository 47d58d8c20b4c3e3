/*
 * What SIGHUP can change, as one immutable, reference-counted whole: the configuration and the files
 * of the page. Each worker holds a reference and is handed a new one on a reload, so that no thread
 * ever reads what another is changing.
 */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include <stdatomic.h>

#include "common/static_files.h"
#include "gateway/config.h"

struct settings {
    atomic_uint references;
    struct config config;
    struct static_files *files; /* NULL where there is no page to serve */
};

/*
 * Loads settings from the same sources as at start. OPTION_RUN: `*settings` holds one reference.
 * OPTION_BAD: `error` says in one line what is wrong.
 */
enum option_outcome settings_load(struct settings **settings, int argc, char **argv,
                                  char **environment, char error[OPTION_ERROR_LIMIT]);

struct settings *settings_ref(struct settings *settings);
void settings_unref(struct settings *settings);

#endif
