/*
 * Which of two ways to send a batch is the cheaper one where the program runs: one send after the
 * other, or all through a send ring. It is found by counting: now and then a few parts of batches
 * go both ways in turn and are timed by the caller, for each magnitude of batches on its own, since
 * what a ring saves grows with the batch, up to SEND_TRIAL_PART. No I/O and no clock.
 */
#ifndef COMMON_SEND_TRIAL_H
#define COMMON_SEND_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

enum send_way { SEND_EACH, SEND_RING };

#define SEND_TRIAL_ROUNDS     8     /* timed parts of each way in a trial */
#define SEND_TRIAL_PART       64    /* sends of a batch that are timed at a time, at most */
#define SEND_TRIAL_PAUSE      256   /* batches until the next trial, at first */
#define SEND_TRIAL_LONG_PAUSE 16384 /* and where trials agree again and again */
#define SEND_TRIAL_MAGNITUDES 7     /* 1, 2, 4, … SEND_TRIAL_PART and more */

struct send_magnitude {
    enum send_way choice;
    uint32_t pause; /* between the last trial and the next one; 0: there was none */
    uint32_t rest;  /* of the pause */
    uint32_t step;  /* timed parts of the trial under way */
    uint64_t costs[2][SEND_TRIAL_ROUNDS]; /* of a send, in rising order */
    uint32_t counts[2];
};

/* Zeroed is ready. */
struct send_trial {
    struct send_magnitude magnitudes[SEND_TRIAL_MAGNITUDES];
};

/* What is to be done with the next `count` sends of a batch. */
struct send_part {
    enum send_way way;
    unsigned count;
    bool is_timed; /* send_trial_note is to be told what they cost */
};

/* Of a batch of so many, of which `left` are left. */
struct send_part send_trial_next(struct send_trial *trial, unsigned batch, unsigned left);

/* What a timed part of such a batch cost. True where a trial has ended with it, and the choice is
 * another one than before, or the first. */
bool send_trial_note(struct send_trial *trial, unsigned batch, struct send_part part,
                     uint64_t cost_ns);

/* What is cheaper for batches of that magnitude, by the last trial. */
enum send_way send_trial_choice(struct send_trial *trial, unsigned batch);

#endif
