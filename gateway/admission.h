/*
 * Who may connect: the limits on connections in total and per client address, counted over all
 * workers. Asked once per connection, so a lock costs nothing that matters. Any thread.
 */
#ifndef GATEWAY_ADMISSION_H
#define GATEWAY_ADMISSION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "common/map.h"

struct admission {
    uv_mutex_t lock;
    size_t connections;
    struct map addresses; /* of struct admission_address; only while a limit per address is set */
};

/* One client address with at least one connection. */
struct admission_address;

enum admission_verdict {
    ADMITTED,
    ADMISSION_FULL,         /* the total is reached: answer 503 */
    ADMISSION_ADDRESS_FULL, /* this address has its share: answer 503 */
    ADMISSION_OVERRUN,      /* so far beyond the total that there is no room for an answer */
};

int admission_init(struct admission *admission);
void admission_deinit(struct admission *admission);

/*
 * Counts a connection in and says whether it may stay; every call is paired with one
 * admission_leave, whatever the verdict. `*entry` is NULL where no limit per address is set.
 */
enum admission_verdict admission_enter(struct admission *admission, const struct sockaddr *address,
                                       uint64_t limit, uint64_t address_limit,
                                       struct admission_address **entry);

void admission_leave(struct admission *admission, struct admission_address *entry);

#endif
