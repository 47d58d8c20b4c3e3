/* What is wrong with a link, for the log: a line when it is new, and again every 30 s while it
 * stays the same, so that an outage of an hour is 120 lines and not 7,000. One of zero bytes knows
 * none. */
#ifndef GATEWAY_REDIS_TROUBLE_H
#define GATEWAY_REDIS_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

struct redis_trouble {
    char reason[160]; /* as logged; empty where there is none */
    uint64_t logged_ms;
};

/* Notes the reason; true if it is to be logged now. */
bool redis_trouble_note(struct redis_trouble *trouble, const char *reason, uint64_t now_ms);

/* All is well: whatever comes next is new. */
void redis_trouble_end(struct redis_trouble *trouble);

#endif
