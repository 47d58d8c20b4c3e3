/* What is particular about a stream for which the kernel encrypts; the rest, which is as ever, is
 * in stream_tls_test. On a machine whose kernel cannot, what is left of it is that we do so. */
#include "stream_tls_fixture.h"

#include "common/stream_gather.h"

static struct gather_stats stats;

static void probe_says_why_not(void **state)
{
    (void)state;
    int error = kernel_tls_probe();

    if (!error) {
        print_message("The kernel encrypts here.\n");
        return;
    }
    print_message("KERNEL TLS IS NOT TESTED HERE: %s.\n", kernel_tls_explain(error));
    assert_int_not_equal(*kernel_tls_explain(error), '\0');
    assert_string_not_equal(kernel_tls_explain(UV_ENOENT), kernel_tls_explain(UV_EPERM));
    assert_string_not_equal(kernel_tls_explain(UV_ENOTSUP), kernel_tls_explain(UV_EPERM));
}

static void socket_that_holds_much_has_no_room(void **state)
{
    (void)state;
    char bytes[16384] = {0};
    uv_os_fd_t fd;

    assert_int_equal(uv_fileno(&subject->stream.uv.handle, &fd), 0);
    assert_true(kernel_tls_has_room(fd));
    while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
    assert_false(kernel_tls_has_room(fd));
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), kernel_tls_has_room(fd)));
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), kernel_tls_acknowledged(fd) == taken.size));
    assert_true(kernel_tls_has_room(-1)); /* and fails where it is used */
    assert_int_equal(kernel_tls_acknowledged(-1), 0);
}

/* Some are too long to be gathered, and some come between. */
static void gathered_writes_keep_their_order(void **state)
{
    (void)state;
    struct buffer expected = {0};

    memset(&stats, 0, sizeof(stats));
    if (stream_gather_create(&loop, GATHER_ON, &stats))
        skip();
    for (unsigned tick = 0; tick < 40; tick++) {
        stream_gather_begin(&loop);
        for (unsigned i = 0; i < 5; i++) {
            struct block *block = make_block(64 + (size_t)tick * 97 * i * i, tick + i);

            buffer_append(&expected, block->data + i, block->size - i);
            assert_int_equal(stream_write_gathered(&subject->stream, &loop, block, i), 0);
            block_unref(block);
        }
        assert_int_equal(stream_write_bytes(&subject->stream, "between", 7), 0);
        buffer_append(&expected, "between", 7);
        stream_gather_end(&loop);
        assert_in_range(queued(), 0, expected.size);
        RUN_UNTIL((pump(SIZE_MAX), taken.size == expected.size && queued() == 0));
    }
    assert_memory_equal(taken.data, expected.data, expected.size);
    assert_int_equal(stream_sent_bytes(&subject->stream), expected.size);
    assert_true(metric_read(&stats.sends) >= 40);
    buffer_deinit(&expected);
    stream_gather_destroy(&loop);
}

static void what_was_gathered_comes_before_the_goodbye(void **state)
{
    (void)state;
    struct block *block = make_block(5000, 3);

    if (stream_gather_create(&loop, GATHER_ON, &stats)) {
        block_unref(block);
        skip();
    }
    stream_gather_begin(&loop);
    assert_int_equal(stream_write_gathered(&subject->stream, &loop, block, 0), 0);
    assert_int_equal(stream_shutdown(&subject->stream), 0);
    stream_gather_end(&loop);
    RUN_UNTIL((pump(SIZE_MAX), has_fin));
    assert_int_equal(taken.size, block->size);
    assert_int_equal(peer_end, UV_EOF);
    block_unref(block);
    stream_gather_destroy(&loop);
}

/* The kernel may have encrypted what TCP has no room for, and FIN must not overtake it. */
static void goodbye_waits_for_a_kernel_that_is_full(void **state)
{
    (void)state;
    struct block *block = make_block(8000, 5);
    size_t size = 0;

    while (queued() == 0) {
        assert_int_equal(stream_write(&subject->stream, block, 0), 0);
        size += block->size;
    }
    assert_int_equal(stream_shutdown(&subject->stream), 0);
    assert_int_equal(stream_write(&subject->stream, block, 0), UV_EPIPE);
    run_on();
    RUN_UNTIL((pump(700), has_fin));
    assert_int_equal(taken.size, size);
    assert_int_equal(peer_end, UV_EOF);
    block_unref(block);
}

static void close_while_the_goodbye_waits_is_the_end(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 5);

    assert_int_equal(stream_write(&subject->stream, block, 0), 0);
    assert_int_equal(stream_shutdown(&subject->stream), 0);
    RUN_UNTIL((pump(4000), queued() == 0));
    close_subject();
    assert_int_equal(atomic_load(&block->references), 1);
    block_unref(block);
}

/* A client of OpenSSL's own over the peer's socket. */
static SSL *connect_outsider(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *outsider = SSL_new(context);

    SSL_CTX_free(context);
    accept_subject();
    stream_secure(&subject->stream, offering, NULL);
    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(SSL_set_fd(outsider, peer), 1);
    RUN_UNTIL(SSL_connect(outsider) == 1);
    RUN_UNTIL(subject->counts[CONNECTED] > 0);
    return outsider;
}

static void peer_may_change_its_own_keys(void **state)
{
    (void)state;
    SSL *outsider = connect_outsider();
    char bytes[16];

    assert_int_equal(SSL_key_update(outsider, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    assert_int_equal(SSL_write(outsider, "hello", 5), 5);
    RUN_UNTIL(subject->received.size == 5);
    assert_int_equal(stream_write_bytes(&subject->stream, "well", 4), 0);
    RUN_UNTIL(SSL_read(outsider, bytes, sizeof(bytes)) == 4);
    SSL_free(outsider);
}

/* Kernels cannot change ours. */
static void peer_that_wants_other_keys_is_left(void **state)
{
    (void)state;
    SSL *outsider = connect_outsider();
    char bytes[16];

    assert_int_equal(SSL_key_update(outsider, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_write(outsider, "hello", 5), 5);
    if (stream_is_offloaded(&subject->stream)) {
        RUN_UNTIL(subject->counts[ENDED] > 0);
        assert_int_equal(subject->end_error, UV_EPROTO);
        assert_string_equal(stream_explain(&subject->stream, UV_EPROTO),
                            "it wants other keys, and the kernel has these");
    } else {
        RUN_UNTIL(subject->received.size == 5);
        assert_int_equal(stream_write_bytes(&subject->stream, "well", 4), 0);
        RUN_UNTIL(SSL_read(outsider, bytes, sizeof(bytes)) == 4);
    }
    SSL_free(outsider);
}

static size_t pad_nothing(SSL *tls, int type, size_t size, void *argument)
{
    (void)tls;
    (void)type;
    (void)size;
    (void)argument;
    return 0;
}

/* OpenSSL offers the kernel no padded records. */
static void connection_that_the_kernel_cannot_serve_goes_without(void **state)
{
    (void)state;
    char bytes[16];

    SSL_CTX_set_record_padding_callback(tls_context_ssl(offering), pad_nothing);

    SSL *outsider = connect_outsider();

    SSL_CTX_set_record_padding_callback(tls_context_ssl(offering), NULL);
    assert_false(stream_is_offloaded(&subject->stream));
    assert_int_equal(stream_write_bytes(&subject->stream, "well", 4), 0);
    RUN_UNTIL(SSL_read(outsider, bytes, sizeof(bytes)) == 4);
    assert_memory_equal(bytes, "well", 4);
    SSL_free(outsider);
}

static bool always(void *owner)
{
    (void)owner;
    return true;
}

/* Another socket than TCP's, or one that is gone: the kernel refuses. */
static void session_that_the_kernel_refuses_encrypts_by_itself(void **state)
{
    (void)state;
    struct tls_ends ends = make_ends(client, "localhost", offering);
    struct buffer output = {0};

    tls_session_offer_kernel(ends.server, -1, always, NULL);
    assert_int_equal(shake(&ends), 0);
    assert_false(tls_session_is_offloaded(ends.server));
    assert_int_equal(tls_session_write(ends.server, "text", 4, &output), 0);
    assert_true(output.size > 4);
    buffer_deinit(&output);
    free_ends(&ends);
}

#define ALONE(test) cmocka_unit_test_teardown(test, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probe_says_why_not),
        cmocka_unit_test_setup_teardown(socket_that_holds_much_has_no_room, make_plain_server,
                                        drop),
        OFFERED(gathered_writes_keep_their_order),
        OFFERED(what_was_gathered_comes_before_the_goodbye),
        OFFERED(goodbye_waits_for_a_kernel_that_is_full),
        OFFERED(close_while_the_goodbye_waits_is_the_end),
        ALONE(peer_may_change_its_own_keys),
        ALONE(peer_that_wants_other_keys_is_left),
        ALONE(connection_that_the_kernel_cannot_serve_goes_without),
        cmocka_unit_test(session_that_the_kernel_refuses_encrypts_by_itself),
    };

    return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
