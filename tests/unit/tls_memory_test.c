/* What OpenSSL holds for a connection that is idle: it is asked to allocate through us. */
#include "tls_fixture.h"

#include <openssl/crypto.h>

#define LIMIT_BYTES (16 * 1024)

static long held_bytes;

/* Each piece has its size before it. */
#define HEAD 16

static void *count_new(size_t size, const char *file, int line)
{
    size_t *head = malloc(HEAD + size);

    (void)file;
    (void)line;
    if (!head)
        return NULL;
    *head = size;
    held_bytes += (long)size;
    return (char *)head + HEAD;
}

static void count_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    if (!memory)
        return;

    size_t *head = (void *)((char *)memory - HEAD);

    held_bytes -= (long)*head;
    free(head);
}

static void *count_again(void *memory, size_t size, const char *file, int line)
{
    void *fresh = count_new(size, file, line);

    if (memory && fresh) {
        size_t old = *(size_t *)(void *)((char *)memory - HEAD);

        memcpy(fresh, memory, old < size ? old : size);
    }
    count_free(memory, file, line);
    return fresh;
}

/* `bytes` holds what was to be sent before. */
static void exchange(struct tls_session *from, struct tls_session *to, struct buffer *bytes,
                     size_t size)
{
    static unsigned char text[60000];
    struct buffer answer = {0};

    assert_int_equal(tls_session_write(from, text, size, bytes), 0);
    tls_session_feed(to, bytes->data, bytes->size);
    while (tls_session_read(to, text, sizeof(text), &answer) > 0)
        ;
    assert_int_equal(answer.size, 0);
    buffer_deinit(bytes);
}

static void idle_connection_holds_no_buffers(void **state)
{
    (void)state;
    struct tls_tickets *tickets = tls_tickets_random(0);
    struct tls_context *server = serve("localhost", (struct tls_options){.tickets = tickets});
    struct tls_context *client = trusting((struct tls_options){0});
    struct tls_ends ends[2];
    long held[2];

    for (unsigned i = 0; i < 2; i++) { /* the first pays for what all share */
        ends[i] = make_ends(client, "localhost", server);
        assert_int_equal(shake(&ends[i]), 0);
        exchange(ends[i].client, ends[i].server, &ends[i].to_server, 100);
        exchange(ends[i].server, ends[i].client, &ends[i].to_client, 60000);
    }
    held[0] = held_bytes;
    tls_session_destroy(ends[1].server);
    ends[1].server = NULL;
    held[1] = held_bytes;
    print_message("an idle server session holds %ld bytes\n", held[0] - held[1]);
    assert_in_range(held[0] - held[1], 1, LIMIT_BYTES - 1024);
    free_ends(&ends[0]);
    free_ends(&ends[1]);
    tls_context_unref(server);
    tls_context_unref(client);
    tls_tickets_unref(tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_connection_holds_no_buffers),
    };

    if (CRYPTO_set_mem_functions(count_new, count_again, count_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
