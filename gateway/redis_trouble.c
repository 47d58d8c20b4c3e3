#include "gateway/redis_trouble.h"

#include <stdio.h>
#include <string.h>

#define REPEAT_MS 30000

bool redis_trouble_note(struct redis_trouble *trouble, const char *reason, uint64_t now_ms)
{
    if (trouble->reason[0] != '\0' &&
        strncmp(reason, trouble->reason, sizeof(trouble->reason) - 1) == 0 &&
        now_ms - trouble->logged_ms < REPEAT_MS)
        return false;
    snprintf(trouble->reason, sizeof(trouble->reason), "%s", reason);
    trouble->logged_ms = now_ms;
    return true;
}

void redis_trouble_end(struct redis_trouble *trouble)
{
    trouble->reason[0] = '\0';
}
