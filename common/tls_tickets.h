/*
 * The keys of session tickets: a client that comes back with a ticket saves itself and us the
 * costly half of the handshake. Whoever has the keys can open a ticket, so that gateways with the
 * same file of keys take up each other's sessions.
 *
 * The first key seals new tickets, every key opens old ones: to rotate, put a new line first in all
 * files, reload, and drop the last line once no ticket of it can be valid any more (two hours).
 * Immutable and reference-counted. Any thread.
 */
#ifndef COMMON_TLS_TICKETS_H
#define COMMON_TLS_TICKETS_H

#include <openssl/types.h>
#include <stddef.h>

struct tls_tickets;

/* One random key, nobody else's. One reference. */
struct tls_tickets *tls_tickets_random(void);

/* The keys of a file: a line of 64 hexadecimal digits is one (`openssl rand -hex 32`), `#` begins a
 * comment. 0 and one reference, a negative errno where it cannot be read, or UV_EINVAL and in
 * `*line` the line that is no key, or 0 where there is none at all. */
int tls_tickets_load(struct tls_tickets **tickets, const char *file, size_t *line);

struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets);

/* NULL is allowed. The keys are wiped with the last reference. */
void tls_tickets_unref(struct tls_tickets *tickets);

/* Lets the servers of this context, which must not outlive the tickets, hand out and open them. */
void tls_tickets_serve(struct tls_tickets *tickets, SSL_CTX *ssl);

#endif
