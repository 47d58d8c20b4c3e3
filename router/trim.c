#include "router/trim.h"

#include <malloc.h>

#define WORTH_BYTES ((uint64_t)8 * 1024 * 1024)

bool trim_is_due(struct trim *trim, uint64_t used_bytes)
{
    if (used_bytes > trim->most)
        trim->most = used_bytes;
    if (trim->most - used_bytes < WORTH_BYTES || used_bytes > trim->most / 2)
        return false;
    trim->most = used_bytes;
    return true;
}

void trim_now(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
