/* What a terminal of a certain width is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pty.h>
#include <string.h>
#include <unistd.h>

#include "common/memory.h"
#include "tests/bench/progress.h"

#define CLEAR "\r\033[K"

struct fixture {
    int terminal; /* the user's side, where what was shown is read */
    int program;
    char shown[512];
    struct latency_histogram latency;
};

static int create(void **state)
{
    struct fixture *fixture = memory_zeroed(1, sizeof(*fixture));

    *state = fixture;
    return openpty(&fixture->terminal, &fixture->program, NULL, NULL, NULL);
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;

    close(fixture->program);
    close(fixture->terminal);
    memory_free(fixture);
    return 0;
}

/* One line, a second after the last. */
static const char *show(struct fixture *fixture, unsigned short columns,
                        const struct progress_figures *figures)
{
    struct winsize window = {.ws_row = 24, .ws_col = columns};
    struct progress progress;

    assert_int_equal(ioctl(fixture->program, TIOCSWINSZ, &window), 0);
    progress_init(&progress, fixture->program, false, 5000000000);
    assert_int_equal(progress_due_ns(&progress), 6000000000);
    progress_show(&progress, 6000000000, figures);
    assert_int_equal(progress_due_ns(&progress), 7000000000);

    ssize_t size = read(fixture->terminal, fixture->shown, sizeof(fixture->shown) - 1);

    assert_true(size > (ssize_t)strlen(CLEAR));
    fixture->shown[size] = '\0';
    assert_memory_equal(fixture->shown, CLEAR, strlen(CLEAR));
    return fixture->shown + strlen(CLEAR);
}

static void line_of_a_large_run_fits_a_usual_terminal(void **state)
{
    struct fixture *fixture = *state;
    struct progress_figures figures = {"measuring", 18000, 12345678, 2345678, &fixture->latency};

    latency_histogram_record(&fixture->latency, 1234567000);
    assert_string_equal(
        show(fixture, 80, &figures),
        "measuring: 18000 open, 12345678 sent, 2345678 deliveries/s, p99 1234.567 ms");
}

static void line_is_cut_to_the_width_of_the_terminal(void **state)
{
    struct fixture *fixture = *state;
    struct progress_figures figures = {"measuring", 18000, 12345678, 2345678, &fixture->latency};

    assert_string_equal(show(fixture, 20, &figures), "measuring: 18000 op");
    assert_string_equal(show(fixture, 11, &figures), "measuring:");
}

static void terminal_without_a_width_gets_the_usual_one(void **state)
{
    struct fixture *fixture = *state;
    struct progress_figures figures = {"warming up", 1000000000, UINT64_MAX, UINT64_MAX,
                                       &fixture->latency};

    latency_histogram_record(&fixture->latency, 1);
    assert_int_equal(strlen(show(fixture, 0, &figures)), 79);
}

static void only_what_there_is_is_said(void **state)
{
    struct fixture *fixture = *state;
    struct progress_figures connecting = {"connecting", 7, 0, 0, &fixture->latency};
    struct progress_figures warming = {"warming up", 10, 5, 50, &fixture->latency};

    assert_string_equal(show(fixture, 80, &connecting), "connecting: 7 open");
    assert_string_equal(show(fixture, 80, &warming),
                        "warming up: 10 open, 5 sent, 50 deliveries/s");
}

static void deliveries_are_those_since_the_last_line(void **state)
{
    struct fixture *fixture = *state;
    struct progress_figures figures = {"measuring", 10, 100, 1000, &fixture->latency};
    struct progress progress;
    char shown[128];

    progress_init(&progress, fixture->program, false, 0);
    progress_show(&progress, 1000000000, &figures);
    assert_true(read(fixture->terminal, shown, sizeof(shown)) > 0);
    figures.received = 4000;
    progress_show(&progress, 3000000000, &figures);

    ssize_t size = read(fixture->terminal, shown, sizeof(shown) - 1);

    assert_true(size > 0);
    shown[size] = '\0';
    assert_non_null(strstr(shown, " 1500 deliveries/s"));
}

static void nothing_is_shown_where_nobody_looks(void **state)
{
    struct fixture *fixture = *state;
    struct progress_figures figures = {"measuring", 10, 100, 1000, &fixture->latency};
    struct progress progress;
    int ends[2];
    char byte;

    assert_int_equal(pipe(ends), 0);
    progress_init(&progress, ends[1], false, 0);
    progress_show(&progress, 1000000000, &figures);
    progress_clear(&progress);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);

    progress_init(&progress, fixture->program, true, 0);
    progress_show(&progress, 1000000000, &figures);
    progress_clear(&progress);
    assert_int_equal(write(fixture->program, "x", 1), 1);
    assert_int_equal(read(fixture->terminal, &byte, 1), 1);
    assert_int_equal(byte, 'x');
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(line_of_a_large_run_fits_a_usual_terminal),
        CASE(line_is_cut_to_the_width_of_the_terminal),
        CASE(terminal_without_a_width_gets_the_usual_one),
        CASE(only_what_there_is_is_said),
        CASE(deliveries_are_those_since_the_last_line),
        CASE(nothing_is_shown_where_nobody_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
