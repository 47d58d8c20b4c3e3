/*
 * Who may connect: the limits on connections in total and per client address, and on how many
 * WebSockets open in a second, counted over all workers. Asked once per connection, so a lock costs
 * nothing that matters. Any thread.
 */
#ifndef GATEWAY_ADMISSION_H
#define GATEWAY_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "common/map.h"

struct admission_limits {
    uint64_t connections; /* in total */
    uint64_t per_address; /* of one client address (IPv6: one /64); 0: no limit */
    uint64_t refusals;    /* at a time that are being told 503; further ones are just closed */
    uint64_t rate;        /* WebSockets a second, and at once after a quiet one; 0: no limit */
};

struct admission {
    uv_mutex_t lock;
    struct admission_limits limits;
    size_t connections;   /* admitted */
    size_t refusals;      /* refused, and not gone yet */
    struct map addresses; /* of struct admission_address; only while a limit per address is set */
    uint64_t turns;       /* thousandths of WebSockets that may open now */
    uint64_t turns_ms;    /* when there were so many */
};

/* What a connection holds of its admission: opaque. */
struct admission_address;

enum admission_verdict {
    ADMITTED,
    ADMISSION_FULL,         /* the total is reached: answer 503 */
    ADMISSION_ADDRESS_FULL, /* this address has its share: answer 503 */
    ADMISSION_OVERRUN,      /* too many are being refused already: no room for an answer */
};

/* Until its limits are set, it admits nobody. */
int admission_init(struct admission *admission);
void admission_deinit(struct admission *admission);

/* Limits for those who come from now on; nobody is sent away. */
void admission_set_limits(struct admission *admission, const struct admission_limits *limits);

/* How many are admitted in total. Any thread. */
uint64_t admission_connection_limit(struct admission *admission);

/*
 * Counts a connection in and says whether it may stay. `address` is NULL for one of a proxy, whose
 * client is not known yet: it counts in the total alone. Every call is paired with one
 * admission_leave of its `*entry` (which may be NULL), whatever the verdict. A connection that is
 * refused takes no place of one that could stay.
 */
enum admission_verdict admission_enter(struct admission *admission, const struct sockaddr *address,
                                       struct admission_address **entry);

/*
 * The client of an admitted connection that counted in the total alone is known: counts it under
 * its address, too. The verdict is that of admission_enter, and so is what a refusal means for the
 * connection.
 */
enum admission_verdict admission_claim(struct admission *admission, const struct sockaddr *address,
                                       struct admission_address **entry);

/* Whether one more WebSocket may open at `now_ms` (a loop's clock), which then counts. */
bool admission_take_turn(struct admission *admission, uint64_t now_ms);

void admission_leave(struct admission *admission, struct admission_address *entry);

#endif
