/*
 * A server that hangs (SIGSTOP, a dead network, a proxy that forwards one direction only) says
 * nothing about it, so a PING goes out every second, and the connection is given up when it has not
 * been answered after REDIS_PULSE_LIMIT_MS, or nothing at all has come for so long. Both tests are
 * needed: bytes that keep coming do not show that ours still arrive. Where this process itself
 * stood still, the clocks start afresh, since the answer may lie in the socket unread.
 */
#include "gateway/redis_pulse.h"

#define ASK_MS   1000
#define STALL_MS 1000

void redis_pulse_begin(struct redis_pulse *pulse, uint64_t now_ms)
{
    pulse->heard_ms = now_ms;
    pulse->asked_ms = now_ms;
    pulse->looked_ms = now_ms;
}

void redis_pulse_hear(struct redis_pulse *pulse, uint64_t now_ms)
{
    pulse->heard_ms = now_ms;
}

uint64_t redis_pulse_ask(struct redis_pulse *pulse, uint64_t now_ms)
{
    pulse->asked_ms = now_ms;
    return ++pulse->ask_count;
}

void redis_pulse_answer(struct redis_pulse *pulse)
{
    if (pulse->answered_count < pulse->ask_count)
        pulse->answered_count++;
}

void redis_pulse_end(struct redis_pulse *pulse)
{
    pulse->answered_count = pulse->ask_count;
}

enum redis_pulse_verdict redis_pulse_look(struct redis_pulse *pulse, uint64_t now_ms)
{
    bool is_asked = pulse->answered_count < pulse->ask_count;

    if (now_ms - pulse->looked_ms > STALL_MS) {
        pulse->heard_ms = now_ms;
        pulse->asked_ms = now_ms;
    }
    pulse->looked_ms = now_ms;
    if (!is_asked)
        return now_ms - pulse->asked_ms >= ASK_MS ? REDIS_PULSE_ASK : REDIS_PULSE_FINE;
    return now_ms - pulse->heard_ms >= REDIS_PULSE_LIMIT_MS ||
                   now_ms - pulse->asked_ms >= REDIS_PULSE_LIMIT_MS
               ? REDIS_PULSE_LOST
               : REDIS_PULSE_FINE;
}
