/*
 * What the tests of the load generator share: bench-bare as the server under load, and runs against
 * it. The build says in BENCH_BARE where the program is.
 */
#ifndef TESTS_BARE_FIXTURE_H
#define TESTS_BARE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/memory.h"
#include "tests/bench/load.h"

struct bare {
    pid_t pid;
    unsigned port; /* on 127.0.0.1 */
};

/* `fault` as --fault knows it. Returns when the server listens. */
static inline struct bare bare_start(const char *fault)
{
    struct bare bare = {0};
    char line[64] = "";
    int pipe_ends[2];

    assert_int_equal(pipe(pipe_ends), 0);
    bare.pid = fork();
    assert_true(bare.pid >= 0);
    if (bare.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves no server behind */
        dup2(pipe_ends[1], STDOUT_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        execl(BENCH_BARE, BENCH_BARE, "--fault", fault, (char *)NULL);
        _exit(127);
    }
    close(pipe_ends[1]);

    FILE *output = fdopen(pipe_ends[0], "r");

    assert_non_null(fgets(line, sizeof(line), output));
    fclose(output);
    assert_int_equal(sscanf(line, "listening on 127.0.0.1:%u", &bare.port), 1);
    return bare;
}

static inline void bare_stop(struct bare *bare)
{
    kill(bare->pid, SIGKILL);
    assert_int_equal(waitpid(bare->pid, NULL, 0), bare->pid);
}

/* A small load on a server at `url`; the caller changes what its test is about. */
static inline struct arguments small_load(const char *url)
{
    const char *problem;
    struct arguments arguments = {
        .url_count = 1,
        .channels = 1,
        .clients = 5,
        .publishers = 1,
        .window = 1,
        .size = 64,
        .duration_ns = 1000000000,
        .timeout_ns = 60000000000,
        .protocol = &protocol_plain,
        .is_quiet = true,
    };

    assert_int_equal(server_url_parse(&arguments.urls[0], url, &problem), 0);
    return arguments;
}

static inline struct arguments small_load_on(const struct bare *bare)
{
    static char url[64];

    snprintf(url, sizeof(url), "ws://127.0.0.1:%u", bare->port);
    return small_load(url);
}

/* The caller frees the result. */
static inline struct load_result *run_load(const struct arguments *arguments)
{
    struct load_result *result = memory_zeroed(1, sizeof(*result));

    load_run(arguments, result);
    return result;
}

#endif
