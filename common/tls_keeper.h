/*
 * A keeper makes a TLS context from files, and makes it anew when they change: it looks at them
 * twice a second, through whatever symbolic links (Kubernetes swaps a directory), and loads them
 * once they have stayed the same from one look to the next. Files that cannot be used are refused
 * with a line in the log, and the old context stays.
 *
 * Embedded in its owner; lives on the loop of the main thread.
 */
#ifndef COMMON_TLS_KEEPER_H
#define COMMON_TLS_KEEPER_H

#include <stdbool.h>

#include "common/buffer.h"
#include "common/loop.h"
#include "common/option.h"
#include "common/tls_context.h"

/* Which files, and what is made of them. The texts must stay until the next reload. */
struct tls_source {
    const char *role; /* what the log calls it */
    bool is_server;
    const struct option_list *certificates; /* may be empty for a client */
    const struct option_list *keys;         /* as many */
    const char *ca;                         /* "": see tls_options */
    const char *ticket_keys;                /* NULL: no tickets; "": of a random key; or the file */
    unsigned minimum;                       /* as in tls_options */
    bool is_http;
    bool may_offload;
};

struct tls_keeper {
    struct tls_context *context; /* the one in force; NULL before the start */
    struct loop *loop;
    struct tls_source source;
    struct tls_tickets *random; /* rotated, else as long as the process; NULL: there is a file */
    struct buffer seen;         /* what the files were at the last look, */
    struct buffer loaded;       /* and when they were loaded */
    struct waiter waiter;
    void (*replaced)(struct tls_keeper *keeper); /* there is another `context`; may be NULL */
};

/* Loads the files and looks after them. 0, or UV_EINVAL with one line in `error`. */
int tls_keeper_start(struct tls_keeper *keeper, struct loop *loop, const struct tls_source *source,
                     void (*replaced)(struct tls_keeper *keeper), char error[TLS_ERROR_LIMIT]);

/* Loads the files of another source, or the same ones again. Harmless before the start. */
void tls_keeper_reload(struct tls_keeper *keeper, const struct tls_source *source);

/* Loads the files and forgets them, to see whether a keeper could start. 0, or UV_EINVAL with one
 * line in `error`. */
int tls_source_check(const struct tls_source *source, char error[TLS_ERROR_LIMIT]);

/* Appends when the certificates of each file end, as a metric with the labels `role` and `file`, to
 * what tls_keeper_describe_expiry began. Nothing before the start. */
void tls_keeper_append_expiry(struct buffer *text, const struct tls_keeper *keeper);
void tls_keeper_describe_expiry(struct buffer *text);

/* Drops the context. Harmless before the start. */
void tls_keeper_close(struct tls_keeper *keeper);

#endif
