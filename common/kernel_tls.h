/*
 * Kernel TLS (the `tls` protocol over TCP, Linux' Documentation/networking/tls.rst): the kernel
 * encrypts what is sent over a socket, once it has been given the keys. So a stream's plain bytes
 * go out as without TLS, from the block that all subscribers share. This says whether it can be
 * had, and knows what is particular about such a socket; the keys are OpenSSL's business
 * (tls_session).
 */
#ifndef COMMON_KERNEL_TLS_H
#define COMMON_KERNEL_TLS_H

#include <stdbool.h>
#include <stdint.h>

enum kernel_tls_mode {
    KERNEL_TLS_AUTO, /* where it can be had */
    KERNEL_TLS_ON,
    KERNEL_TLS_OFF,
};

/* Whether the kernel encrypts, tried out on a connection of our own: 0 or an error. */
int kernel_tls_probe(void);

/* What an error of the probe's means, in a few words that last for ever. */
const char *kernel_tls_explain(int error);

/*
 * True where a few more bytes, and whatever the kernel has encrypted and TCP not taken yet, can go
 * to TCP now. (A send is over when the kernel has encrypted: its record may wait for room in TCP's
 * buffer, unseen, and would be lost if FIN came before it.)
 */
bool kernel_tls_has_room(int socket);

/* Bytes that the peer's host has acknowledged since the connection began, as they travel. */
uint64_t kernel_tls_acknowledged(int socket);

#endif
