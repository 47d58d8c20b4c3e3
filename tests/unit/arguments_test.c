/* The command line of carillon-bench: what is understood, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/arguments.h"

#define URL        "ws://h:8000"
#define WORD_LIMIT 24

/* Reads a command line of words with single blanks between. */
static enum arguments_outcome read_line(struct arguments *arguments, const char *line)
{
    static char copy[512]; /* the arguments point into it */
    char *words[WORD_LIMIT + 1] = {"carillon-bench"};
    char *rest = copy;
    int count = 1;

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word; count < WORD_LIMIT && (word = strsep(&rest, " "));)
        words[count++] = word;
    optind = 0; /* getopt begins anew */
    return arguments_read(arguments, count, words);
}

static struct arguments accept_line(const char *line)
{
    struct arguments arguments;

    if (read_line(&arguments, line) != ARGUMENTS_RUN)
        fail_msg("refused: %s", line);
    return arguments;
}

/* The one line on stderr begins with `subject`. */
static void assert_refused(const char *line, const char *subject)
{
    char said[512] = "";
    char wanted[128];
    struct arguments arguments;
    FILE *file = tmpfile();
    int standard = dup(STDERR_FILENO);

    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);

    enum arguments_outcome outcome = read_line(&arguments, line);

    fflush(stderr);
    dup2(standard, STDERR_FILENO);
    close(standard);
    rewind(file);
    said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
    fclose(file);
    snprintf(wanted, sizeof(wanted), "carillon-bench: %s", subject);
    if (outcome != ARGUMENTS_BAD || strncmp(said, wanted, strlen(wanted)) != 0 ||
        strchr(said, '\n') != said + strlen(said) - 1)
        fail_msg("%s: outcome %d, said \"%s\"", line, outcome, said);
}

static void defaults_stand_where_nothing_is_said(void **state)
{
    struct arguments arguments = accept_line(URL);

    (void)state;
    assert_string_equal(arguments.urls[0].host, "h");
    assert_string_equal(arguments.urls[0].port, "8000");
    assert_int_equal(arguments.clients, 100);
    assert_int_equal(arguments.publishers, 1);
    assert_int_equal(arguments.window, 1);
    assert_true(arguments.rate == 0);
    assert_int_equal(arguments.size, 64);
    assert_int_equal(arguments.duration_ns, 10000000000);
    assert_int_equal(arguments.messages, 0);
    assert_int_equal(arguments.warmup_ns, 1000000000);
    assert_true(arguments.connect_rate == 0);
    assert_int_equal(arguments.timeout_ns, 10000000000);
    assert_false(arguments.is_idle || arguments.is_json || arguments.is_quiet);
    assert_int_equal(arguments.server.count, 0);
    assert_int_equal(arguments.url_count, 1);
    assert_int_equal(arguments.channels, 1);
}

static void options_are_understood(void **state)
{
    struct arguments arguments =
        accept_line("-c 5000 -p 3 -r 0.5 -s 4K -n 7 --warmup 0 --connect-rate 250 --timeout 2m "
                    "--pid 17 --pid 18 -jq " URL);

    (void)state;
    assert_int_equal(arguments.clients, 5000);
    assert_int_equal(arguments.publishers, 3);
    assert_true(arguments.rate == 0.5);
    assert_int_equal(arguments.size, 4096);
    assert_int_equal(arguments.messages, 7);
    assert_int_equal(arguments.warmup_ns, 0);
    assert_true(arguments.connect_rate == 250);
    assert_int_equal(arguments.timeout_ns, 120000000000);
    assert_int_equal(arguments.server.count, 2);
    assert_int_equal(arguments.server.pids[0], 17);
    assert_int_equal(arguments.server.pids[1], 18);
    assert_true(arguments.is_json && arguments.is_quiet);

    arguments = accept_line("--idle --duration 200ms --connect-rate 0 ws://h?channel=x");
    assert_true(arguments.is_idle);
    assert_int_equal(arguments.duration_ns, 200000000);
    assert_string_equal(arguments.urls[0].path, "/?channel=x");
    assert_false(arguments.is_insecure);
    assert_true(accept_line("--insecure wss://h").is_insecure);
}

static void protocols_and_extensions_are_understood(void **state)
{
    struct arguments arguments = accept_line(URL);

    (void)state;
    assert_ptr_equal(arguments.protocol, &protocol_plain);
    assert_false(arguments.is_deflated || arguments.has_records || arguments.is_accept);
    arguments = accept_line("--protocol mqtt --deflate --filling records --channels 3 " URL);
    assert_ptr_equal(arguments.protocol, &protocol_mqtt);
    assert_true(arguments.is_deflated && arguments.has_records);
    assert_false(accept_line("--filling letters " URL).has_records);
    arguments = accept_line("--accept -c 7 " URL);
    assert_true(arguments.is_accept && arguments.is_idle);
}

static void several_servers_and_channels_are_understood(void **state)
{
    struct arguments arguments =
        accept_line("--channels 7 -c 30 ws://h?channel={channel} ws://i/{channel}/x");
    struct server_url url;

    (void)state;
    assert_int_equal(arguments.channels, 7);
    assert_int_equal(arguments_connections(&arguments), 210);
    assert_int_equal(arguments.url_count, 2);
    assert_string_equal(arguments.urls[1].host, "i");
    server_url_fill(&url, &arguments.urls[1], 7);
    assert_string_equal(url.path, "/7/x");
}

static void limits_of_a_value_are_inside(void **state)
{
    (void)state;
    assert_int_equal(accept_line("--size 40 " URL).size, 40);
    assert_int_equal(accept_line("--size 64M " URL).size, 64 * 1024 * 1024);
    assert_int_equal(accept_line("--timeout 1s " URL).timeout_ns, 1000000000);
    assert_int_equal(accept_line("--duration 1ms " URL).duration_ns, 1000000);
    assert_int_equal(accept_line("--duration 24h " URL).duration_ns, 86400000000000);
    assert_int_equal(accept_line("--messages 4294967295 " URL).messages, UINT32_MAX);
    assert_true(accept_line("--rate 0.001 " URL).rate == 0.001);
    assert_true(accept_line("--rate 10000000 " URL).rate == 1e7);
}

static void values_out_of_range_or_shape_are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"--size 18014398509481985K " URL, "--size"},
        {"--size 17592186044417M " URL, "--size"},
        {"--size 18446744073709551680 " URL, "--size"},
        {"--size -18446744073709551552 " URL, "--size"},
        {"--size -64 " URL, "--size"},
        {"--size +64 " URL, "--size"},
        {"--size 39 " URL, "--size"},
        {"--size 65M " URL, "--size"},
        {"--size 1KB " URL, "--size"},
        {"--clients 0 " URL, "--clients"},
        {"--clients -1 " URL, "--clients"},
        {"--clients -18446744073709551515 " URL, "--clients"},
        {"--clients +1 " URL, "--clients"},
        {"--clients 10000001 " URL, "--clients"},
        {"--publishers 101 " URL, "--publishers"},
        {"--window 0 " URL, "--window"},
        {"--rate 0 " URL, "--rate"},
        {"--rate -5 " URL, "--rate"},
        {"--rate 1e-300 " URL, "--rate"},
        {"--rate nan " URL, "--rate"},
        {"--rate inf " URL, "--rate"},
        {"--rate 0x10 " URL, "--rate"},
        {"--rate 10000001 " URL, "--rate"},
        {"--rate 1.2.3 " URL, "--rate"},
        {"--connect-rate 0.0001 " URL, "--connect-rate"},
        {"--connect-rate -0 " URL, "--connect-rate"},
        {"--duration 0 " URL, "--duration"},
        {"--duration 10 " URL, "--duration"},
        {"--duration -1s " URL, "--duration"},
        {"--duration 25h " URL, "--duration"},
        {"--duration 18446744073709551615m " URL, "--duration"},
        {"--warmup -1s " URL, "--warmup"},
        {"--timeout 0 " URL, "--timeout"},
        {"--timeout 999ms " URL, "--timeout"},
        {"--messages 0 " URL, "--messages"},
        {"--messages 4294967296 " URL, "--messages"},
        {"--pid 0 " URL, "--pid"},
        {"--pid 2147483648 " URL, "--pid"},
        {"--quiet", "URL"},
        {URL " wss://h", "wss://h"},
        {"--channels 0 " URL, "--channels"},
        {"--channels 2 " URL, URL},
        {"--channels 100000 --clients 101 ws://h/{channel}", "--channels"},
        {"ws://h:99999", "ws://h:99999"},
        {"--insecure " URL, "--insecure"},
        {"--protocol smtp " URL, "--protocol: expected plain, json, protobuf"},
        {"--filling stones " URL, "--filling: expected letters or records"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i][0], bad[i][1]);
}

static void contradictions_are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"--window 4 --rate 50 " URL, "--window: cannot go with --rate"},
        {"--rate 50 --window 1 " URL, "--window: cannot go with --rate"},
        {"-n 5 -d 10s " URL, "--messages: cannot go with --duration"},
        {"--idle -n 5 " URL, "--messages: cannot go with --idle"},
        {"--idle -r 5 " URL, "--rate: cannot go with --idle"},
        {"--idle -w 5 " URL, "--window: cannot go with --idle"},
        {"--idle -p 1 " URL, "--publishers: cannot go with --idle"},
        {"--idle -s 64 " URL, "--size: cannot go with --idle"},
        {"--warmup 1s --idle " URL, "--warmup: cannot go with --idle"},
        {"--filling records --idle " URL, "--filling: cannot go with --idle"},
        {"--accept --idle " URL, "--idle: cannot go with --accept"},
        {"--accept -d 1s " URL, "--duration: cannot go with --accept"},
        {"--accept -w 1 " URL, "--window: cannot go with --accept"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i][0], bad[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand_where_nothing_is_said),
        cmocka_unit_test(options_are_understood),
        cmocka_unit_test(protocols_and_extensions_are_understood),
        cmocka_unit_test(several_servers_and_channels_are_understood),
        cmocka_unit_test(limits_of_a_value_are_inside),
        cmocka_unit_test(values_out_of_range_or_shape_are_refused),
        cmocka_unit_test(contradictions_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
