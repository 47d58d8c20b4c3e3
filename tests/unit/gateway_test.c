#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/gateway.h"

/*
 * A whole gateway in a process of its own, for what no client can bring about: SIGUSR1 holds the
 * thread that it is sent to for good. Its log is read through a pipe; LOG_LIMIT_MS only ends a test
 * that would never end.
 */

#define LOG_LIMIT_MS 60000

static pid_t gateway;
static int log_pipe = -1;
static char log_text[16384];

static void hold(int number)
{
    (void)number;
    for (;;)
        pause();
}

static int run_gateway(void)
{
    static char *arguments[] = {"carillon-gateway",
                                "--listen",
                                "127.0.0.1:0",
                                "--threads",
                                "2",
                                "--web-root",
                                "",
                                "--drain-time",
                                "0",
                                "--admin-listen",
                                "127.0.0.1:0",
                                "--close-timeout",
                                "100ms",
                                "--io-uring",
                                "off",
                                NULL};
    static char *environment[] = {NULL};
    int count = (int)(sizeof(arguments) / sizeof(arguments[0])) - 1;
    char error[OPTION_ERROR_LIMIT];
    struct settings *settings;

    signal(SIGUSR1, hold);
    if (settings_load(&settings, NULL, count, arguments, environment, error) != OPTION_RUN)
        return 2;
    return gateway_run(settings, count, arguments, environment);
}

/* Reads the log until it holds `text`, or to its end. */
static bool read_log_until(const char *text)
{
    size_t size = strlen(log_text);
    struct pollfd wanted = {.fd = log_pipe, .events = POLLIN};

    while (!text || !strstr(log_text, text)) {
        ssize_t count = poll(&wanted, 1, LOG_LIMIT_MS) == 1
                            ? read(log_pipe, log_text + size, sizeof(log_text) - size - 1)
                            : -1;

        if (count <= 0)
            return count == 0 && !text;
        size += (size_t)count;
        log_text[size] = '\0';
    }
    return true;
}

static int start_gateway(void **state)
{
    int ends[2];

    (void)state;
    log_text[0] = '\0';
    assert_int_equal(pipe(ends), 0);
    gateway = fork();
    if (gateway == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(run_gateway());
    }
    close(ends[1]);
    log_pipe = ends[0];
    assert_true(gateway > 0);
    /* What the threads say of themselves comes first: one that is held amid that holds the log. */
    return read_log_until("role=public") && read_log_until("io_uring=") ? 0 : -1;
}

static int end_gateway(void **state)
{
    (void)state;
    if (gateway > 0) {
        kill(gateway, SIGKILL);
        waitpid(gateway, NULL, 0);
    }
    close(log_pipe);
    return 0;
}

/* Holds every thread but the main one. */
static size_t hold_threads(void)
{
    char path[64];
    size_t count = 0;

    snprintf(path, sizeof(path), "/proc/%d/task", gateway);

    DIR *directory = opendir(path);

    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        int thread = (int)strtol(entry->d_name, NULL, 10);

        if (thread <= 0 || thread == gateway)
            continue;
        assert_int_equal(syscall(SYS_tgkill, gateway, thread, SIGUSR1), 0);
        count++;
    }
    closedir(directory);
    return count;
}

static int exit_code(void)
{
    int status;

    assert_true(read_log_until(NULL));
    assert_int_equal(waitpid(gateway, &status, 0), gateway);
    gateway = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void stops_cleanly_while_its_threads_answer(void **state)
{
    (void)state;
    kill(gateway, SIGTERM);
    assert_int_equal(exit_code(), 0);
    assert_non_null(strstr(log_text, "event=\"stopped\""));
}

static void stops_without_threads_that_do_not_answer(void **state)
{
    (void)state;
    assert_true(hold_threads() >= 2);
    kill(gateway, SIGTERM);
    assert_int_equal(exit_code(), 1);
    assert_non_null(strstr(log_text, "event=\"stopped without a thread that does not answer\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stops_cleanly_while_its_threads_answer, start_gateway,
                                        end_gateway),
        cmocka_unit_test_setup_teardown(stops_without_threads_that_do_not_answer, start_gateway,
                                        end_gateway),
    };

    return cmocka_run_group_tests_name("gateway", tests, NULL, NULL);
}
