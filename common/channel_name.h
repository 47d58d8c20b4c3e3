/* The rule for channel names, wherever one comes from: a client, the configuration, the bus. */
#ifndef COMMON_CHANNEL_NAME_H
#define COMMON_CHANNEL_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define CHANNEL_NAME_LIMIT    255 /* bytes */
#define CHANNEL_NAME_INTERNAL '\x01'

/* True for 1 to CHANNEL_NAME_LIMIT bytes of UTF-8 without control characters (C0, DEL, C1). */
bool channel_name_is_valid(const char *name, size_t name_size);

/*
 * The rule for what comes over the bus: a valid name, or one of a channel between gateways, which
 * is CHANNEL_NAME_INTERNAL and a valid name behind it, CHANNEL_NAME_LIMIT bytes together. Clients
 * cannot name these.
 */
bool channel_name_is_on_bus(const char *name, size_t name_size);

#endif
