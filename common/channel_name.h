/* The rule for channel names, wherever one comes from: a client, the configuration, the bus. */
#ifndef COMMON_CHANNEL_NAME_H
#define COMMON_CHANNEL_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define CHANNEL_NAME_LIMIT 255 /* bytes */

/* True for 1 to CHANNEL_NAME_LIMIT bytes of UTF-8 without control characters (C0, DEL, C1). */
bool channel_name_is_valid(const char *name, size_t name_size);

#endif
