/*
 * What this router shows to others, and whom it lets in, where links are TLS: one context for links
 * that are dialed and one for those that are accepted, from the same three files. On the main loop;
 * workers are handed new ones when the files change.
 */
#ifndef ROUTER_CERTIFICATES_H
#define ROUTER_CERTIFICATES_H

#include "common/tls_keeper.h"
#include "router/config.h"
#include "router/worker.h"

struct certificates {
    struct tls_keeper dial;
    struct tls_keeper accept;
    struct worker *workers; /* who are told of new ones; set once they run */
    unsigned worker_count;
};

/* Loads the files; nothing happens where --tls-ca names none. 0, or UV_EINVAL with one line in
 * `error`. */
int certificates_load(struct certificates *certificates, struct loop *loop,
                      const struct config *config, char error[TLS_ERROR_LIMIT]);

/* Whether the files could be loaded, for --check-config: as above. */
int certificates_check(const struct config *config, char error[TLS_ERROR_LIMIT]);

/* Whether links are TLS. */
bool certificates_are_wanted(const struct certificates *certificates);

/* Appends when they end, for /metrics; nothing where there are none. */
void certificates_append_metrics(const struct certificates *certificates, struct buffer *text);

void certificates_close(struct certificates *certificates);

#endif
