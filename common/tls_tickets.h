/*
 * The keys of session tickets: a client that comes back with a ticket saves itself and us the
 * costly half of the handshake. Whoever has the keys can open a ticket, so that gateways with the
 * same file of keys take up each other's sessions.
 *
 * The first key seals new tickets, every key opens old ones: to rotate, put a new line first in all
 * files, reload, and drop the last line once no ticket of it can be valid any more (two hours).
 * Random keys are rotated with tls_tickets_rotate. Reference-counted. Any thread.
 */
#ifndef COMMON_TLS_TICKETS_H
#define COMMON_TLS_TICKETS_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

struct tls_tickets;

/* How long a ticket is good. */
#define TLS_TICKET_LIFETIME_MS (UINT64_C(2) * 60 * 60 * 1000)

/* How long a random key seals new tickets. */
#define TLS_TICKET_KEY_MS (UINT64_C(12) * 60 * 60 * 1000)

/* One random key, nobody else's, made at `now_ms` of any clock that only goes forward. One
 * reference. */
struct tls_tickets *tls_tickets_random(uint64_t now_ms);

/* Puts a new random key before one that has had its time, and forgets that once no ticket of it is
 * good any more. To be called from time to time, with the same clock; only for random ones. */
void tls_tickets_rotate(struct tls_tickets *tickets, uint64_t now_ms);

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
