/* carillon-bench: a load generator for broadcast WebSocket servers, and a check of what they do. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "tests/bench/load.h"
#include "tests/bench/report.h"

/* The first signal ends the run with its report, a second one the process. */
static void on_signal(int number)
{
    (void)number;
    load_stop();
}

static void catch_signals(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a connection that ended is reported, over TLS, too */
}

int main(int argc, char **argv)
{
    struct arguments arguments;

    switch (arguments_read(&arguments, argc, argv)) {
    case ARGUMENTS_EXIT:
        return 0;
    case ARGUMENTS_BAD:
        return 2;
    case ARGUMENTS_RUN:
        break;
    }

    struct load_result *result = memory_zeroed(1, sizeof(*result));

    catch_signals();
    load_run(&arguments, result);
    if (arguments.is_json)
        report_json(stdout, &arguments, result);
    else
        report_text(stdout, &arguments, result);

    int status = result->trouble[0] == '\0' ? 0 : 1;

    memory_free(result);
    return status;
}
