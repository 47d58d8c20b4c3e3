/*
 * In thousandths, so that one a second and a million a second both count exactly enough.
 */
#include "gateway/pace.h"

bool pace_take(struct pace *pace, uint64_t rate, uint64_t burst, uint32_t now_ms)
{
    uint64_t back = (uint64_t)(now_ms - pace->since_ms) * rate;
    uint64_t spent = pace->spent > back ? pace->spent - back : 0;

    if (rate == 0)
        return true;
    pace->since_ms = now_ms;
    pace->spent = (uint32_t)spent;
    if (spent + 1000 > burst * 1000)
        return false;
    pace->spent += 1000;
    return true;
}
