/* The ring alone; and where the kernel is made to forbid io_uring, as containers do, from the
 * middle of the test on: the last tests of this program are without it. */
#include "gather_fixture.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "gateway/settings.h"

static struct send_ring *ring;

static int begin(void **state)
{
    (void)state;
    return send_ring_create(&ring);
}

static int end(void **state)
{
    (void)state;
    send_ring_destroy(ring);
    return 0;
}

static void sends_are_carried_out_in_their_order(void **state)
{
    (void)state;
    struct ring_send sends[SEND_RING_LIMIT];
    unsigned char letters[SEND_RING_LIMIT];
    unsigned char read_back[SEND_RING_LIMIT + 1];
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < SEND_RING_LIMIT; i++) {
            letters[i] = (unsigned char)(i + round);
            sends[i] = (struct ring_send){.fd = pair[0], .data = &letters[i], .size = 1};
        }
        assert_int_equal(send_ring_send(ring, sends, SEND_RING_LIMIT), 0);
        for (unsigned i = 0; i < SEND_RING_LIMIT; i++)
            assert_int_equal(sends[i].taken, 1);
        assert_int_equal(recv(pair[1], read_back, sizeof(read_back), 0), SEND_RING_LIMIT);
        assert_memory_equal(read_back, letters, SEND_RING_LIMIT);
    }
    assert_int_equal(send_ring_send(ring, sends, 0), 0);
    close(pair[0]);
    close(pair[1]);
}

static void each_has_its_own_result(void **state)
{
    (void)state;
    static unsigned char much[4 * 1024 * 1024];
    int full[2];
    int gone[2];
    int good[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, full), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gone), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, good), 0);
    close(gone[1]);

    /* Blocking sockets: even these keep nobody waiting. */
    struct ring_send sends[] = {
        {.fd = full[0], .data = much, .size = sizeof(much)},
        {.fd = full[0], .data = much, .size = sizeof(much)},
        {.fd = gone[0], .data = "hello", .size = 5},
        {.fd = -1, .data = "hello", .size = 5},
        {.fd = good[0], .data = "hello", .size = 5},
    };

    assert_int_equal(send_ring_send(ring, sends, 5), 0);
    assert_in_range(sends[0].taken, 1, sizeof(much) - 1);
    assert_int_equal(sends[1].taken, 0);
    assert_int_equal(sends[2].taken, 0);
    assert_int_equal(sends[3].taken, 0);
    assert_int_equal(sends[4].taken, 5);
    close(full[0]);
    close(full[1]);
    close(gone[0]);
    close(good[0]);
    close(good[1]);
}

/* Answers EPERM to that call from now on; there is no way back. */
static void forbid(unsigned call)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int begin_gather(void **state)
{
    (void)state;
    return make_gather(GATHER_ON);
}

static void ring_that_fails_is_given_up_and_all_is_sent_once(void **state)
{
    (void)state;
    struct block *block = make_text(100, 'a');

    open_crowd(600);
    for (int tick = 0; tick < 4; tick++) {
        stream_gather_begin(&loop);
        for (size_t i = 0; i < 600; i++) {
            if (tick == 1 && i == 300)
                forbid(SYS_io_uring_enter);
            gather_at(i, block, 0);
        }
        stream_gather_end(&loop);
        assert_int_equal(metric_read(&stats.threads), tick == 0);
    }
    assert_crowd();
    assert_int_equal(atomic_load(&block->references), 1);
    block_unref(block);
}

static void ring_that_does_not_send_is_none(void **state)
{
    (void)state;
    assert_int_equal(send_ring_probe(), UV_EPERM); /* set up, it may be */
}

static void forbidden_ring_is_said_to_be(void **state)
{
    (void)state;
    forbid(SYS_io_uring_setup);
    assert_int_equal(send_ring_probe(), UV_EPERM);
    assert_non_null(strstr(send_ring_explain(UV_EPERM), "forbidden"));

    make_loop();
    assert_int_equal(stream_gather_create(&loop, GATHER_AUTO, &stats), UV_EPERM);
    assert_null(loop.gather);
    drop_gather(state);
}

static enum option_outcome load_with(const char *how, char error[OPTION_ERROR_LIMIT])
{
    char *arguments[] = {"carillon-gateway", "--io-uring", (char *)how, "--web-root", "", NULL};
    char *environment[] = {NULL};
    struct settings *settings = NULL;
    enum option_outcome outcome = settings_load(&settings, NULL, 5, arguments, environment, error);

    if (outcome == OPTION_RUN)
        settings_unref(settings);
    return outcome;
}

static void who_insists_on_it_is_refused_and_others_are_served(void **state)
{
    (void)state;
    char error[OPTION_ERROR_LIMIT];

    assert_int_equal(load_with("on", error), OPTION_BAD);
    assert_non_null(strstr(error, "--io-uring: cannot be on"));
    assert_non_null(strstr(error, send_ring_explain(UV_EPERM)));
    assert_int_equal(load_with("auto", error), OPTION_RUN);
    assert_int_equal(load_with("off", error), OPTION_RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sends_are_carried_out_in_their_order, begin, end),
        cmocka_unit_test_setup_teardown(each_has_its_own_result, begin, end),
        cmocka_unit_test_setup_teardown(ring_that_fails_is_given_up_and_all_is_sent_once,
                                        begin_gather, drop_gather),
        cmocka_unit_test(ring_that_does_not_send_is_none),
        cmocka_unit_test(forbidden_ring_is_said_to_be),
        cmocka_unit_test(who_insists_on_it_is_refused_and_others_are_served),
    };
    char message[OPTION_ERROR_LIMIT];
    int error = send_ring_probe();

    if (!error)
        return cmocka_run_group_tests(tests, NULL, NULL);
    print_message("no io_uring here: %s\n", send_ring_explain(error));
    return load_with("auto", message) == OPTION_RUN && load_with("on", message) == OPTION_BAD ? 0
                                                                                              : 1;
}
