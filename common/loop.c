#include "common/loop.h"

#include <assert.h>

#include "common/memory.h"

static void on_deadline(struct deadline *deadline)
{
    struct waiter *waiter = container_of(deadline, struct waiter, deadline);

    waiter->expired(waiter);
}

int loop_init(struct loop *loop)
{
    int error = uv_loop_init(&loop->uv);

    if (error)
        return error;
    loop->tls = NULL;
    loop->gather = NULL;
    loop->gather_turn = 1;
    loop->reading = NULL;
    error = wheel_init(&loop->wheel, &loop->uv, on_deadline);
    if (error)
        uv_loop_close(&loop->uv);
    return error;
}

void loop_deinit(struct loop *loop)
{
    wheel_close(&loop->wheel);
    uv_run(&loop->uv, UV_RUN_DEFAULT);

    int error = uv_loop_close(&loop->uv);

    assert(error == 0);
    (void)error;
    if (loop->tls)
        buffer_deinit(&loop->tls->encrypted);
    memory_free(loop->tls);
    loop->tls = NULL;
}

struct loop_tls *loop_tls(struct loop *loop)
{
    if (!loop->tls)
        loop->tls = memory_zeroed(1, sizeof(*loop->tls));
    return loop->tls;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return uv_now(&loop->uv);
}

void waiter_init(struct waiter *waiter, void (*expired)(struct waiter *waiter))
{
    deadline_init(&waiter->deadline);
    waiter->expired = expired;
}

void loop_wait(struct loop *loop, struct waiter *waiter, uint64_t delay_ms)
{
    wheel_set(&loop->wheel, &waiter->deadline, delay_ms);
}

void loop_cancel(struct loop *loop, struct waiter *waiter)
{
    wheel_clear(&loop->wheel, &waiter->deadline);
}
