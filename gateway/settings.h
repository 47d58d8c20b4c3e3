/*
 * What SIGHUP can change, as one immutable, reference-counted whole: the configuration, what is
 * made of it, and the files of the page. Each worker holds a reference and is handed a new one on a
 * reload, so that no thread ever reads what another is changing.
 */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include <stdatomic.h>

#include "common/network.h"
#include "common/static_files.h"
#include "gateway/config.h"

struct namespaces;
struct token_verifier;

struct settings {
    atomic_uint references;
    struct config config;
    struct networks trusted;       /* --trusted-proxy */
    struct namespaces *namespaces; /* what may be done on which channel */
    struct token_verifier *tokens;
    bool allows_anonymous;                /* clients without a token may connect */
    struct static_files *files;           /* NULL where there is no page to serve */
    char not_applied[OPTION_NAMES_LIMIT]; /* options that were changed and take a restart */
};

/*
 * Loads settings from the same sources as at start. Fixed options keep the value that they have in
 * `running`, which is NULL at the start. OPTION_RUN: `*settings` holds one reference. OPTION_BAD:
 * `error` says in one line what is wrong.
 */
enum option_outcome settings_load(struct settings **settings, const struct settings *running,
                                  int argc, char **argv, char **environment,
                                  char error[OPTION_ERROR_LIMIT]);

/* Loads them as at start, says on stderr what is wrong, a line for each thing, and forgets them.
 * The exit code of --check-config: 0, or 2 where something is. */
int settings_check(int argc, char **argv, char **environment);

struct settings *settings_ref(struct settings *settings);
void settings_unref(struct settings *settings);

#endif
