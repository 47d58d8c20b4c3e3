/*
 * A measurement at the start would be simpler, but it could only time sockets of its own: what a
 * ring saves is the way into the kernel, and what share of a send that is depends on the machine,
 * on the network behind the socket and on the load (measured: 0.48 to 1.0 of the processor time).
 *
 * Being wrong is bounded. A trial sends 8 parts the worse way, of 272 batches at first and of
 * 16,400 once trials agree: were one way twice as dear as the other, that would be 3 % at first and
 * 0.05 % later, and an eighth of it for batches of 512. The medians are compared, so that a part
 * which was interrupted does not decide; and the ring has to be cheaper by more than the noise, or
 * it is not used.
 */
#include "common/send_trial.h"

#define COST_SCALE      64 /* parts of a nanosecond, so that cheap sends differ, too */
#define GAIN_IN_PERCENT 3

static struct send_magnitude *magnitude_of(struct send_trial *trial, unsigned batch)
{
    unsigned magnitude = 0;

    for (; batch > 1 && magnitude < SEND_TRIAL_MAGNITUDES - 1; batch /= 2)
        magnitude++;
    return &trial->magnitudes[magnitude];
}

struct send_part send_trial_next(struct send_trial *trial, unsigned batch, unsigned left)
{
    struct send_magnitude *magnitude = magnitude_of(trial, batch);
    struct send_part part = {magnitude->choice, left, false};
    unsigned timed = batch < SEND_TRIAL_PART ? batch : SEND_TRIAL_PART;

    if (magnitude->rest > 0) {
        magnitude->rest--;
        return part;
    }
    if (left < timed)
        return part; /* a rest is no measure */
    part.count = timed;
    part.is_timed = true;
    /* Each, ring, ring, each, …: what changes steadily meanwhile weighs on both alike. */
    part.way = (magnitude->step ^ magnitude->step >> 1) & 1 ? SEND_RING : SEND_EACH;
    return part;
}

static void insert(struct send_magnitude *magnitude, enum send_way way, uint64_t cost)
{
    uint64_t *costs = magnitude->costs[way];
    uint32_t at = magnitude->counts[way]++;

    for (; at > 0 && costs[at - 1] > cost; at--)
        costs[at] = costs[at - 1];
    costs[at] = cost;
}

static bool decide(struct send_magnitude *magnitude)
{
    uint64_t each = magnitude->costs[SEND_EACH][SEND_TRIAL_ROUNDS / 2];
    uint64_t ring = magnitude->costs[SEND_RING][SEND_TRIAL_ROUNDS / 2];
    enum send_way better = ring * 100 < each * (100 - GAIN_IN_PERCENT) ? SEND_RING : SEND_EACH;
    bool is_news = magnitude->pause == 0 || better != magnitude->choice;

    if (is_news)
        magnitude->pause = SEND_TRIAL_PAUSE;
    else if (magnitude->pause < SEND_TRIAL_LONG_PAUSE)
        magnitude->pause *= 2;
    magnitude->choice = better;
    magnitude->rest = magnitude->pause;
    magnitude->step = 0;
    magnitude->counts[SEND_EACH] = magnitude->counts[SEND_RING] = 0;
    return is_news;
}

bool send_trial_note(struct send_trial *trial, unsigned batch, struct send_part part,
                     uint64_t cost_ns)
{
    struct send_magnitude *magnitude = magnitude_of(trial, batch);

    insert(magnitude, part.way, cost_ns * COST_SCALE / part.count);
    return ++magnitude->step == 2 * SEND_TRIAL_ROUNDS && decide(magnitude);
}

enum send_way send_trial_choice(struct send_trial *trial, unsigned batch)
{
    return magnitude_of(trial, batch)->choice;
}
