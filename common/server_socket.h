/* Sockets to listen on, before anybody does. */
#ifndef COMMON_SERVER_SOCKET_H
#define COMMON_SERVER_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>

/* A bound socket, or a negative errno; port 0 becomes the one that was given. With `shared`,
 * several may be bound to one address, and the kernel spreads the connections over those that
 * listen. */
int server_socket_bind(struct sockaddr_storage *address, bool shared);

/* Shows that nobody has the address: SO_REUSEPORT would let a second process of the same user share
 * it in silence. 0 or a negative errno; port 0 becomes the one to use. */
int server_socket_claim(struct sockaddr_storage *address);

/* Writes the log's line that tells where we listen. */
void server_socket_log(const char *role, const struct sockaddr_storage *address);

#endif
