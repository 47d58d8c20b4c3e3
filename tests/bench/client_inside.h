/* What the two halves of a client, its connection and its frames, know of each other. */
#ifndef BENCH_CLIENT_INSIDE_H
#define BENCH_CLIENT_INSIDE_H

#include "tests/bench/client.h"
#include "tests/bench/frame.h"

static inline bool client_is_upgraded(const struct client *client)
{
    return client->state == CLIENT_JOINING || client->state == CLIENT_OPEN;
}

/* It may send and hear messages from now on. */
void client_open(struct client *client);

/* Closes the connection and tells why. */
void client_end(struct client *client, const char *reason);

void client_write_frame(struct client *client, enum frame_opcode opcode, const void *data,
                        size_t size);

/* A message of the protocol, text or binary as it wants them. */
void client_write_words(struct client *client, const void *data, size_t size);

/* Returns how many bytes were whole frames. */
size_t client_read_frames(struct client *client, const unsigned char *data, size_t size);

#endif
