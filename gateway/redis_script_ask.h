/* The scripts that answer what a gateway is asked: what was published on a channel, and who is
 * there. Pure: no I/O. See redis_script.h for the keys. */
#ifndef GATEWAY_REDIS_SCRIPT_ASK_H
#define GATEWAY_REDIS_SCRIPT_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "gateway/bus.h"
#include "gateway/redis_reply.h"

#define REDIS_PRESENT_COUNT 100 /* clients of one answer, roughly, or of one announcement */
#define REDIS_PRESENT_LIMIT                                                                        \
    (BUS_USER_LIMIT + BUS_INFO_LIMIT + 64) /* bytes of what says who it is */

/* For redis_script_text alone. */
extern const char redis_script_history[];
extern const char redis_script_forget[];
extern const char redis_script_announce[];
extern const char redis_script_leave[];
extern const char redis_script_present[];

/* An answer of REDIS_SCRIPT_HISTORY, of which several make a page. */
struct redis_history_page {
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t top;                           /* the channel's newest offset */
    bool is_lost;                           /* as in struct bus_answer */
    bool has_more;                          /* there was no room for all that was asked for */
    const redisReply *entries;              /* offset and envelope by turns; inside the reply */
    char previous[MESSAGE_EPOCH_LIMIT + 1]; /* as in struct bus_answer */
    uint64_t fork;
};

/* An answer of REDIS_SCRIPT_PRESENT, of which several make a list; clients may come twice. */
struct redis_present_page {
    char cursor[24];           /* where the next one begins; "0" at the end */
    const redisReply *entries; /* client and Present by turns; inside the reply */
};

/* Read an answer; false where it is not what the script says. */
bool redis_read_history(const redisReply *reply, struct redis_history_page *page);
bool redis_read_present(const redisReply *reply, struct redis_present_page *page);

/* The `index`th entry: false beyond the last one or where it is no entry. */
bool redis_history_entry(const struct redis_history_page *page, size_t index, uint64_t *offset,
                         const redisReply **envelope);

/* How many entries there are, and the `index`th; false where it is none. `who` points into the
 * reply, and has only its client where the rest is beyond reading. */
size_t redis_present_count(const struct redis_present_page *page);
bool redis_present_entry(const struct redis_present_page *page, size_t index,
                         struct bus_present *who);

/* Appends what says who it is, but for the client. */
void redis_present_append(struct buffer *output, const struct bus_present *who);

#endif
