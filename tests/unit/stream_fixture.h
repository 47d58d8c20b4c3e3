/*
 * What the tests of streams share: one loop, a stream under test that connects over TCP or a Unix
 * socket, and a plain non-blocking socket as its peer, so that a test decides byte by byte what the
 * kernel may take. Every wait is for a condition; WAIT_LIMIT_MS only ends a test that would never
 * end.
 */
#ifndef TESTS_STREAM_FIXTURE_H
#define TESTS_STREAM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "common/stream.h"

#define WAIT_LIMIT_MS 60000
#define PULSE_MS      5

enum event { NO_EVENT, READ, ENDED, CONNECTED, DRAINED, CLOSED };

/* A stream and all that it told. */
struct subject {
    struct stream stream;
    bool is_unix;
    enum event closes_in; /* the event that closes the stream */
    bool stops_in_read;
    struct buffer received;
    unsigned counts[CLOSED + 1]; /* of each event */
    int end_error;
    int connect_error;
    enum event last;
    bool was_closed_early; /* stream_is_closed before the event */
};

static struct loop loop;
static uv_timer_t pulse; /* lets a loop iteration end where nothing else happens */
static unsigned pulses;

static struct subject *subject; /* freed by its closed event */
static struct subject story;    /* what it was then */
static int peer = -1;           /* the other end */

static inline void on_pulse(uv_timer_t *timer)
{
    (void)timer;
    pulses++;
}

/* Runs the loop until the condition holds; it may look at the peer's side, too. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        for (pulses = 0; !(condition); uv_run(&loop.uv, UV_RUN_ONCE))                              \
            if (pulses > WAIT_LIMIT_MS / PULSE_MS)                                                 \
                fail_msg("never: %s", #condition);                                                 \
    } while (0)

/* Gives events that must not come the time of some iterations with a chance to come. */
static inline void run_on(void)
{
    for (pulses = 0; pulses < 4;)
        uv_run(&loop.uv, UV_RUN_ONCE);
}

/* The events. */

static inline void note(struct stream *stream, enum event event)
{
    struct subject *it = container_of(stream, struct subject, stream);

    it->counts[event]++;
    it->last = event;
    if (it->closes_in == event) {
        stream_close(stream);
        stream_close(stream); /* harmless */
        it->was_closed_early = stream_is_closed(stream);
    }
}

static inline void on_read(struct stream *stream, unsigned char *data, size_t size)
{
    struct subject *it = container_of(stream, struct subject, stream);

    buffer_append(&it->received, data, size);
    memset(data, 0, size); /* the bytes are ours to change */
    if (it->stops_in_read)
        stream_stop(stream);
    note(stream, READ);
}

static inline void on_ended(struct stream *stream, int error)
{
    container_of(stream, struct subject, stream)->end_error = error;
    note(stream, ENDED);
}

static inline void on_connected(struct stream *stream, int error)
{
    container_of(stream, struct subject, stream)->connect_error = error;
    note(stream, CONNECTED);
}

static inline void on_drained(struct stream *stream)
{
    note(stream, DRAINED);
}

static inline void on_closed(struct stream *stream)
{
    struct subject *it = container_of(stream, struct subject, stream);

    assert_true(stream_is_closed(stream));
    it->counts[CLOSED]++;
    buffer_deinit(&it->received);
    if (it != subject) {
        memory_free(it);
        return;
    }
    story = *it;
    memory_free(it);
    subject = NULL;
}

static const struct stream_events subject_events = {
    .read = on_read,
    .ended = on_ended,
    .connected = on_connected,
    .drained = on_drained,
    .closed = on_closed,
};

static inline struct subject *make_subject(bool is_unix)
{
    struct subject *it = memory_zeroed(1, sizeof(*it));

    it->is_unix = is_unix;
    assert_int_equal(stream_init(&it->stream, &loop, is_unix, &subject_events), 0);
    return it;
}

static inline void close_subject(void)
{
    stream_close(&subject->stream);
    RUN_UNTIL(!subject);
}

/* The other side. */

static inline void set_size(int fd, int option, int size)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size)), 0);
}

static inline void set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* A listening socket on a free loopback port; its buffers, and so its connections', are small. */
static inline int listen_tcp(struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    set_size(listener, SO_RCVBUF, 4096);
    assert_int_equal(bind(listener, (struct sockaddr *)address, size), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, &size), 0);
    return listener;
}

/* A Unix socket in a directory of its own, which goes with remove_unix. */
static inline int listen_unix(struct sockaddr_un *address)
{
    char directory[] = "/tmp/carillon-stream-XXXXXX";
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_non_null(mkdtemp(directory));
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s/socket", directory);
    assert_int_equal(bind(listener, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(listen(listener, 16), 0);
    return listener;
}

static inline void remove_unix(const struct sockaddr_un *address)
{
    char directory[sizeof(address->sun_path)];

    unlink(address->sun_path);
    snprintf(directory, sizeof(directory), "%s", address->sun_path);
    *strrchr(directory, '/') = '\0';
    rmdir(directory);
}

static inline int accept_peer(int listener)
{
    int fd = accept(listener, NULL, NULL);

    assert_true(fd >= 0);
    set_nonblocking(fd);
    return fd;
}

/* The kernel's write buffer of a stream as small as it can be. */
static inline void make_tight(struct stream *stream)
{
    uv_os_fd_t fd;

    assert_int_equal(uv_fileno(&stream->uv.handle, &fd), 0);
    set_size(fd, SO_SNDBUF, 1);
}

/* Connects `it`, whose connected event has come then, and returns the other end. */
static inline int connect_subject(struct subject *it)
{
    struct sockaddr_in address;
    struct sockaddr_un path;
    int listener = it->is_unix ? listen_unix(&path) : listen_tcp(&address);

    if (it->is_unix)
        assert_int_equal(stream_connect_unix(&it->stream, path.sun_path), 0);
    else
        assert_int_equal(stream_connect_tcp(&it->stream, (struct sockaddr *)&address), 0);

    int fd = accept_peer(listener);

    RUN_UNTIL(it->counts[CONNECTED] > 0);
    assert_int_equal(it->connect_error, 0);
    if (it->is_unix)
        remove_unix(&path);
    close(listener);
    make_tight(&it->stream);
    return fd;
}

/* Takes what has arrived at `fd`, at most `limit` bytes; true once the stream has sent FIN. */
static inline bool take(int fd, struct buffer *into, size_t limit)
{
    while (limit > 0) {
        size_t piece = limit < 65536 ? limit : 65536;
        ssize_t size = recv(fd, buffer_reserve(into, piece), piece, 0);

        if (size == 0)
            return true;
        if (size < 0) {
            assert_int_equal(errno, EAGAIN);
            return false;
        }
        into->size += (size_t)size;
        limit -= (size_t)size;
    }
    return false;
}

/* Sets up and takes down. */

static inline void make_loop(void)
{
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(uv_timer_init(&loop.uv, &pulse), 0);
    assert_int_equal(uv_timer_start(&pulse, on_pulse, PULSE_MS, PULSE_MS), 0);
    memset(&story, 0, sizeof(story));
}

static inline int make_tcp(void **state)
{
    (void)state;
    make_loop();
    subject = make_subject(false);
    return 0;
}

static inline int make_unix(void **state)
{
    (void)state;
    make_loop();
    subject = make_subject(true);
    return 0;
}

static inline int make_tcp_pair(void **state)
{
    make_tcp(state);
    peer = connect_subject(subject);
    return 0;
}

static inline int make_unix_pair(void **state)
{
    make_unix(state);
    peer = connect_subject(subject);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    if (subject)
        close_subject();
    if (peer >= 0)
        close(peer);
    peer = -1;
    uv_close((uv_handle_t *)&pulse, NULL);
    loop_deinit(&loop);
    return 0;
}

#define OVER_TCP(test)                                                                             \
    {                                                                                              \
#test " (TCP)", test, make_tcp_pair, tear_down, NULL                                       \
    }
#define OVER_UNIX(test)                                                                            \
    {                                                                                              \
#test " (Unix)", test, make_unix_pair, tear_down, NULL                                     \
    }
#define OVER_BOTH(test) OVER_TCP(test), OVER_UNIX(test)

/* The same with a stream that is not connected yet. */
#define FRESH_TCP(test)                                                                            \
    {                                                                                              \
#test " (TCP)", test, make_tcp, tear_down, NULL                                            \
    }
#define FRESH_UNIX(test)                                                                           \
    {                                                                                              \
#test " (Unix)", test, make_unix, tear_down, NULL                                          \
    }

#endif
