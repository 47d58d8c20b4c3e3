/*
 * The timer is one-shot and re-armed only while deadlines are set, so that an idle process sleeps.
 * It goes off where a tick begins, so that a deadline is late by the rest of its tick at most.
 * After a pause `now` is set to the present in one step: every slot is empty then.
 */
#include "common/wheel.h"

#include "common/memory.h"

static uint64_t ticks_now(const struct wheel *wheel)
{
    return uv_now(wheel->timer.loop) / WHEEL_TICK_MS;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct wheel *wheel)
{
    uint64_t passed = uv_now(wheel->timer.loop) % WHEEL_TICK_MS;

    if (!uv_is_active((uv_handle_t *)&wheel->timer))
        uv_timer_start(&wheel->timer, on_timer, WHEEL_TICK_MS - passed, 0);
}

static void handle_slot(struct wheel *wheel, struct list *slot, uint64_t now)
{
    struct list waiting;

    /* What is set while we walk joins the slot, not the list that is walked. */
    list_init(&waiting);
    list_append_all(&waiting, slot);
    while (!list_is_empty(&waiting)) {
        struct deadline *deadline = container_of(waiting.next, struct deadline, link);

        list_remove(&deadline->link);
        if (deadline->due > now) {
            list_append(slot, &deadline->link);
            continue;
        }
        wheel->count--;
        wheel->expired(deadline);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct wheel *wheel = container_of(timer, struct wheel, timer);
    uint64_t now = ticks_now(wheel);

    if (now - wheel->now > WHEEL_SLOTS)
        wheel->now = now - WHEEL_SLOTS; /* a long stall: one whole turn sees every slot */
    while (wheel->now < now) {
        wheel->now++;
        handle_slot(wheel, &wheel->slots[wheel->now % WHEEL_SLOTS], now);
    }
    if (wheel->count > 0)
        arm(wheel);
}

int wheel_init(struct wheel *wheel, uv_loop_t *loop, void (*expired)(struct deadline *deadline))
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
    wheel->count = 0;
    wheel->expired = expired;

    int error = uv_timer_init(loop, &wheel->timer);

    wheel->now = uv_now(loop) / WHEEL_TICK_MS;
    return error;
}

void wheel_close(struct wheel *wheel)
{
    uv_close((uv_handle_t *)&wheel->timer, NULL);
}

void deadline_init(struct deadline *deadline)
{
    list_init(&deadline->link);
}

void wheel_set(struct wheel *wheel, struct deadline *deadline, uint64_t delay_ms)
{
    uint64_t now = ticks_now(wheel);

    if (list_is_empty(&deadline->link)) {
        if (wheel->count == 0)
            wheel->now = now;
        wheel->count++;
    } else {
        list_remove(&deadline->link);
    }
    /* The first tick that begins at or after the time, and has not been handled. */
    deadline->due = (uv_now(wheel->timer.loop) + delay_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    if (deadline->due <= wheel->now)
        deadline->due = wheel->now + 1;
    list_append(&wheel->slots[deadline->due % WHEEL_SLOTS], &deadline->link);
    arm(wheel);
}

void wheel_clear(struct wheel *wheel, struct deadline *deadline)
{
    if (list_is_empty(&deadline->link))
        return;
    list_remove(&deadline->link);
    wheel->count--;
}
