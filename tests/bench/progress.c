#include "tests/bench/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/bench/clock.h"

#define LINE_LIMIT      256
#define COLUMNS_UNKNOWN 80
#define CLEAR           "\r\033[K"

void progress_init(struct progress *progress, int fd, bool is_quiet, uint64_t now_ns)
{
    *progress = (struct progress){
        .fd = fd,
        .is_shown = !is_quiet && isatty(fd),
        .shown_at_ns = now_ns,
    };
}

uint64_t progress_due_ns(const struct progress *progress)
{
    return progress->shown_at_ns + CLOCK_SECOND_NS;
}

static unsigned columns_of(int fd)
{
    struct winsize window;

    if (ioctl(fd, TIOCGWINSZ, &window) < 0 || window.ws_col == 0)
        return COLUMNS_UNKNOWN;
    return window.ws_col;
}

/* Says only what there is to say in this phase. */
static void format(char line[LINE_LIMIT], const struct progress_figures *figures, double per_second)
{
    int used = snprintf(line, LINE_LIMIT, "%s: %u open", figures->phase, figures->opened);

    if (figures->sent > 0)
        used += snprintf(line + used, LINE_LIMIT - (size_t)used, ", %llu sent, %.0f deliveries/s",
                         (unsigned long long)figures->sent, per_second);
    if (figures->latency->count > 0)
        snprintf(line + used, LINE_LIMIT - (size_t)used, ", p99 %.3f ms",
                 (double)latency_histogram_percentile(figures->latency, 99) / 1e6);
}

void progress_show(struct progress *progress, uint64_t now_ns,
                   const struct progress_figures *figures)
{
    double seconds = (double)(now_ns - progress->shown_at_ns) / (double)CLOCK_SECOND_NS;
    double fresh = (double)(figures->received - progress->received);
    char line[LINE_LIMIT];

    progress->shown_at_ns = now_ns;
    progress->received = figures->received;
    if (!progress->is_shown)
        return;
    format(line, figures, seconds > 0 ? fresh / seconds : 0);
    /* A terminal may wrap as soon as its last column is written. */
    dprintf(progress->fd, CLEAR "%.*s", (int)columns_of(progress->fd) - 1, line);
}

void progress_clear(const struct progress *progress)
{
    if (progress->is_shown)
        dprintf(progress->fd, CLEAR);
}
