/*
 * Whether the Redis at the other end of a connection is alive. Knows neither connection nor clock:
 * it is told what happened and when, and says when a PING is due and when the connection is to be
 * given up.
 *
 * PINGs and their answers are counted, beyond the end of a connection, so that a PING is a mark,
 * too: once as many are answered, what Redis had written before has come.
 */
#ifndef GATEWAY_REDIS_PULSE_H
#define GATEWAY_REDIS_PULSE_H

#include <stdbool.h>
#include <stdint.h>

enum redis_pulse_verdict {
    REDIS_PULSE_FINE,
    REDIS_PULSE_ASK, /* a PING is due */
    REDIS_PULSE_LOST /* nothing, or no answer, has come for REDIS_PULSE_LIMIT_MS */
};

#define REDIS_PULSE_LIMIT_MS 3000

/* One of zero bytes has asked nothing yet. */
struct redis_pulse {
    uint64_t heard_ms;       /* when the last bytes came */
    uint64_t asked_ms;       /* when the last PING was sent */
    uint64_t looked_ms;      /* when it was looked at last */
    uint64_t ask_count;      /* PINGs since the start, */
    uint64_t answered_count; /* those that are answered, or were lost with their connection */
};

/* The connection is ready for the first PING. */
void redis_pulse_begin(struct redis_pulse *pulse, uint64_t now_ms);

/* Bytes came, whatever they say. */
void redis_pulse_hear(struct redis_pulse *pulse, uint64_t now_ms);

/* A PING was sent. Returns how many have been: its mark. */
uint64_t redis_pulse_ask(struct redis_pulse *pulse, uint64_t now_ms);

/* One was answered; answers to none do not count. */
void redis_pulse_answer(struct redis_pulse *pulse);

/* The connection is gone, and with it all answers. */
void redis_pulse_end(struct redis_pulse *pulse);

/* Asked a few times a second while the connection is ready. */
enum redis_pulse_verdict redis_pulse_look(struct redis_pulse *pulse, uint64_t now_ms);

#endif
