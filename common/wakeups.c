#include "common/wakeups.h"

#include "common/inbox.h"

static void on_before_poll(uv_prepare_t *handle)
{
    inbox_begin_poll(handle->loop);
}

static void on_after_poll(uv_check_t *handle)
{
    (void)handle;
    inbox_end_poll();
}

int wakeups_start(struct wakeups *wakeups, uv_loop_t *loop)
{
    int error = uv_prepare_init(loop, &wakeups->before_poll);

    if (!error)
        error = uv_check_init(loop, &wakeups->after_poll);
    if (!error)
        error = uv_prepare_start(&wakeups->before_poll, on_before_poll);
    if (!error)
        error = uv_check_start(&wakeups->after_poll, on_after_poll);
    if (error)
        return error;
    uv_unref((uv_handle_t *)&wakeups->before_poll);
    uv_unref((uv_handle_t *)&wakeups->after_poll);
    return 0;
}

void wakeups_stop(struct wakeups *wakeups)
{
    inbox_end_poll();
    uv_close((uv_handle_t *)&wakeups->before_poll, NULL);
    uv_close((uv_handle_t *)&wakeups->after_poll, NULL);
}
