/*
 * One waiter serves every state, because a link waits for exactly one thing at a time: the next
 * attempt, the end of an attempt that must be ready within CONNECT_LIMIT_MS, or the next look at
 * the pulse (redis_pulse.h) while it is ready.
 */
#include "gateway/redis_link.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/memory.h"
#include "gateway/redis_words.h"

#define CONNECT_LIMIT_MS 3000
#define LOOK_MS          250
#define STEADY_MS        2000  /* a connection that lasted so long was a good one */
#define OUTPUT_BYTES     16384 /* first size of an output block */
#define ELEMENT_LIMIT    16384 /* of one reply; our largest has about 1,000 */

static void attempt(struct redis_link *link);

static void set_state(struct redis_link *link, enum redis_link_state state)
{
    assert(link->state != REDIS_LINK_CLOSED);
    assert(link->state != REDIS_LINK_CLOSING || state == REDIS_LINK_CLOSED);
    assert(state != REDIS_LINK_READY || link->state == REDIS_LINK_GREETING);
    link->state = state;
}

static struct redis_link *link_of(struct stream *stream)
{
    return container_of(stream, struct redis_link, stream);
}

static const char *kind_name(const struct redis_link *link)
{
    return link->kind == REDIS_LINK_COMMANDS ? "commands" : "subscriber";
}

static void log_trouble(struct redis_link *link, const char *reason)
{
    char server[300];

    if (!redis_trouble_note(&link->trouble, reason, loop_now_ms(link->loop)))
        return;
    redis_url_name(link->url, server, sizeof(server));
    log_event(LOG_WARNING, log_name("redis unavailable"), log_text("server", server),
              log_text("link", kind_name(link)), log_text("reason", link->trouble.reason),
              log_number("attempt", link->backoff.attempt));
}

static void log_ready(const struct redis_link *link)
{
    char server[300];

    redis_url_name(link->url, server, sizeof(server));
    log_event(LOG_INFO, log_name("redis connected"), log_text("server", server),
              log_text("link", kind_name(link)));
}

/* Requests. */

static struct redis_request take_request(struct redis_link *link)
{
    link->answered_count++;
    return redis_requests_take(&link->requests);
}

static void fail_requests(struct redis_link *link)
{
    while (link->requests.count > 0) {
        struct redis_request request = take_request(link);

        request.answered(request.context, request.tag, NULL);
    }
}

/* The end of a connection, and of an attempt. */

static void wait_for_attempt(struct redis_link *link)
{
    set_state(link, REDIS_LINK_WAITING);
    loop_wait(link->loop, &link->waiter, backoff_next_ms(&link->backoff));
}

static void forget_connection(struct redis_link *link)
{
    redis_reader_destroy(link->reader);
    link->reader = NULL;
    uv_prepare_stop(&link->flush);
    block_unref(link->output);
    link->output = NULL;
    redis_pulse_end(&link->pulse);
}

static void handle_closed(struct redis_link *link)
{
    if (--link->handles > 0)
        return;
    forget_connection(link);
    redis_addresses_forget(&link->addresses);
    redis_requests_deinit(&link->requests);
    set_state(link, REDIS_LINK_CLOSED);
    link->events->closed(link);
}

static void on_stream_closed(struct stream *stream)
{
    struct redis_link *link = link_of(stream);

    if (link->state == REDIS_LINK_CLOSING) {
        handle_closed(link);
        return;
    }
    forget_connection(link);
    wait_for_attempt(link);
}

void redis_link_drop(struct redis_link *link, const char *reason)
{
    bool was_ready = link->state == REDIS_LINK_READY;

    if (link->state != REDIS_LINK_CONNECTING && link->state != REDIS_LINK_GREETING && !was_ready)
        return; /* there is no connection */
    log_trouble(link, reason);
    loop_cancel(link->loop, &link->waiter);
    uv_prepare_stop(&link->flush);
    set_state(link, REDIS_LINK_DROPPING);
    stream_close(&link->stream);
    /* The owner first: whoever is told that his command is lost may want to send the next one. */
    if (was_ready)
        link->events->down(link);
    fail_requests(link);
}

/* Sending. */

static void on_flush(uv_prepare_t *prepare)
{
    struct redis_link *link = container_of(prepare, struct redis_link, flush);
    struct block *output = link->output;

    uv_prepare_stop(prepare);
    link->output = NULL;

    int error = stream_write(&link->stream, output, 0);

    block_unref(output);
    if (error)
        redis_link_drop(link, uv_strerror(error));
}

void redis_link_send(struct redis_link *link, size_t count, const char *const *words,
                     const size_t *sizes, redis_answered *answered, void *context, uint64_t tag)
{
    assert(link->state == REDIS_LINK_READY || link->state == REDIS_LINK_GREETING);
    if (!link->output) {
        link->output = block_create(OUTPUT_BYTES);
        uv_prepare_start(&link->flush, on_flush);
    }
    link->output = redis_words_append(link->output, count, words, sizes);
    if (!answered)
        return;
    redis_requests_append(&link->requests, (struct redis_request){answered, context, tag});
    link->sent_count++;
}

static void send_text(struct redis_link *link, size_t count, const char *const *words,
                      redis_answered *answered)
{
    size_t sizes[4];

    assert(count <= sizeof(sizes) / sizeof(sizes[0]));
    for (size_t i = 0; i < count; i++)
        sizes[i] = strlen(words[i]);
    redis_link_send(link, count, words, sizes, answered, link, 0);
}

/* The pulse. */

static void on_ping_answered(void *context, uint64_t tag, const redisReply *reply)
{
    struct redis_link *link = context;

    (void)tag;
    redis_pulse_answer(&link->pulse);
    if (reply && redis_reply_is_error(reply) && redis_fault_of(reply->str) == REDIS_FAULT_SERVER)
        redis_link_drop(link, reply->str);
}

static void send_ping(struct redis_link *link)
{
    static const char *const ping[] = {"PING"};

    send_text(link, 1, ping, link->kind == REDIS_LINK_COMMANDS ? on_ping_answered : NULL);
    redis_pulse_ask(&link->pulse, loop_now_ms(link->loop));
}

uint64_t redis_link_mark(struct redis_link *link)
{
    assert(link->kind == REDIS_LINK_SUBSCRIBER);
    if (redis_link_is_ready(link))
        send_ping(link);
    return link->pulse.ask_count;
}

static void become_steady(struct redis_link *link)
{
    link->is_steady = true;
    redis_trouble_end(&link->trouble);
    backoff_reset(&link->backoff);
    if (!link->is_announced)
        log_ready(link);
    link->is_announced = true;
}

static void feel_pulse(struct redis_link *link)
{
    uint64_t now = loop_now_ms(link->loop);
    enum redis_pulse_verdict verdict = redis_pulse_look(&link->pulse, now);

    if (!link->is_steady && now - link->ready_ms >= STEADY_MS)
        become_steady(link);
    if (verdict == REDIS_PULSE_LOST) {
        redis_link_drop(link, "no answer for 3 s");
        return;
    }
    if (verdict == REDIS_PULSE_ASK)
        send_ping(link);
    loop_wait(link->loop, &link->waiter, LOOK_MS);
}

static void on_waiter(struct waiter *waiter)
{
    struct redis_link *link = container_of(waiter, struct redis_link, waiter);

    switch (link->state) {
    case REDIS_LINK_WAITING:
        attempt(link);
        break;
    case REDIS_LINK_RESOLVING:
        log_trouble(link, "the name server does not answer");
        redis_addresses_cancel(&link->addresses);
        break;
    case REDIS_LINK_CONNECTING:
        redis_link_drop(link, link->url->is_tls ? "no TLS connection within 3 s"
                                                : "no connection within 3 s");
        break;
    case REDIS_LINK_GREETING:
        redis_link_drop(link, "not ready within 3 s");
        break;
    case REDIS_LINK_READY:
        feel_pulse(link);
        break;
    default:
        break;
    }
}

/* The greeting: login, database, and a PING whose answer tells a server that is loading or that
 * wants a login which we do not have. */

static void on_greeted(void *context, uint64_t tag, const redisReply *reply)
{
    struct redis_link *link = context;

    (void)tag;
    if (reply && redis_reply_is_error(reply))
        redis_link_drop(link, reply->str);
}

static void on_last_greeted(void *context, uint64_t tag, const redisReply *reply)
{
    struct redis_link *link = context;
    uint64_t now = loop_now_ms(link->loop);

    on_greeted(link, tag, reply);
    if (!reply || link->state != REDIS_LINK_GREETING)
        return;
    set_state(link, REDIS_LINK_READY);
    link->ready_ms = now;
    redis_pulse_begin(&link->pulse, now);
    /* A server that takes us in and throws us out again is not announced each time. */
    link->is_announced = link->is_steady;
    link->is_steady = false;
    if (link->is_announced)
        log_ready(link);
    redis_addresses_forget(&link->addresses);
    loop_wait(link->loop, &link->waiter, LOOK_MS);
    link->events->ready(link);
}

static void greet(struct redis_link *link)
{
    const struct redis_url *url = link->url;
    char database[16];

    set_state(link, REDIS_LINK_GREETING);
    if (url->user)
        send_text(link, 3, (const char *const[]){"AUTH", url->user, url->password}, on_greeted);
    else if (url->password)
        send_text(link, 2, (const char *const[]){"AUTH", url->password}, on_greeted);
    if (url->database > 0) {
        snprintf(database, sizeof(database), "%u", url->database);
        send_text(link, 2, (const char *const[]){"SELECT", database}, on_greeted);
    }
    send_text(link, 1, (const char *const[]){"PING"}, on_last_greeted);
}

/* Receiving. */

static bool is_pong(const redisReply *reply)
{
    const redisReply *word = reply->type == REDIS_REPLY_ARRAY ? redis_reply_at(reply, 0) : reply;

    return word && redis_reply_is_text(word) && strcasecmp(word->str, "pong") == 0;
}

static void handle_reply(struct redis_link *link, const redisReply *reply)
{
    if (link->requests.count > 0) {
        struct redis_request request = take_request(link);

        request.answered(request.context, request.tag, reply);
    } else if (link->kind == REDIS_LINK_COMMANDS || link->state != REDIS_LINK_READY) {
        redis_link_drop(link, redis_reply_is_error(reply) ? reply->str
                                                          : "answer to a command never sent");
    } else if (is_pong(reply)) {
        redis_pulse_answer(&link->pulse);
    } else {
        link->events->pushed(link, reply);
    }
}

static bool is_connected(const struct redis_link *link)
{
    return link->state == REDIS_LINK_GREETING || link->state == REDIS_LINK_READY;
}

static void on_read(struct stream *stream, unsigned char *data, size_t size)
{
    struct redis_link *link = link_of(stream);
    redisReply *reply;

    redis_pulse_hear(&link->pulse, loop_now_ms(link->loop));

    int error = redis_reader_feed(link->reader, data, size);

    /* Whatever handles a reply may drop the link; the reader lives on until the stream is closed.
     */
    while (!error && is_connected(link)) {
        error = redis_reader_next(link->reader, &reply);
        if (error || !reply)
            break;
        handle_reply(link, reply);
        freeReplyObject(reply);
    }
    if (error)
        redis_link_drop(link, redis_reader_error(link->reader));
}

static void on_ended(struct stream *stream, int error)
{
    redis_link_drop(link_of(stream),
                    error == UV_EOF ? "connection lost" : stream_explain(stream, error));
}

/* Connecting. */

static void on_connected(struct stream *stream, int error)
{
    struct redis_link *link = link_of(stream);

    if (!error)
        error = stream_start(stream);
    if (error) {
        redis_link_drop(link, stream_explain(stream, error));
        return;
    }
    link->reader = redis_reader_create(link->byte_limit, ELEMENT_LIMIT);
    greet(link);
}

static const struct stream_events stream_events = {
    .read = on_read,
    .ended = on_ended,
    .connected = on_connected,
    .closed = on_stream_closed,
};

static void connect_stream(struct redis_link *link, const struct sockaddr *address)
{
    int error = stream_init(&link->stream, link->loop, !address, &stream_events);

    set_state(link, REDIS_LINK_CONNECTING);
    loop_wait(link->loop, &link->waiter, CONNECT_LIMIT_MS);
    if (!error && link->url->is_tls)
        stream_secure(&link->stream, link->tls->context,
                      link->tls_host ? link->tls_host : link->url->host);
    if (!error)
        error = address ? stream_connect_tcp(&link->stream, address)
                        : stream_connect_unix(&link->stream, link->url->path);
    if (error)
        redis_link_drop(link, uv_strerror(error));
}

static void on_resolved(struct redis_addresses *addresses, int error)
{
    struct redis_link *link = container_of(addresses, struct redis_link, addresses);

    if (link->state == REDIS_LINK_CLOSING) {
        handle_closed(link);
        return;
    }
    if (error) {
        if (error != UV_ECANCELED)
            log_trouble(link, uv_strerror(error));
        wait_for_attempt(link);
        return;
    }
    connect_stream(link, redis_addresses_next(addresses));
}

/* Each attempt tries the next address of the name, and asks for the name again after the last. */
static void attempt(struct redis_link *link)
{
    const struct sockaddr *address = redis_addresses_next(&link->addresses);

    if (link->url->path || address) {
        connect_stream(link, address);
        return;
    }
    set_state(link, REDIS_LINK_RESOLVING);
    loop_wait(link->loop, &link->waiter, CONNECT_LIMIT_MS);

    int error = redis_addresses_resolve(&link->addresses, link->loop, link->url, on_resolved);

    if (error) {
        log_trouble(link, uv_strerror(error));
        wait_for_attempt(link);
    }
}

void redis_link_init(struct redis_link *link, struct loop *loop, enum redis_link_kind kind,
                     const struct redis_url *url, const struct redis_link_events *events)
{
    *link = (struct redis_link){
        .loop = loop,
        .url = url,
        .events = events,
        .kind = kind,
        .backoff = {.floor_ms = 50, .limit_ms = 1000},
        .is_steady = true,
    };
    waiter_init(&link->waiter, on_waiter);
    uv_prepare_init(&loop->uv, &link->flush); /* cannot fail */
}

void redis_link_start(struct redis_link *link, size_t byte_limit)
{
    link->byte_limit = byte_limit;
    attempt(link);
}

static void on_flush_closed(uv_handle_t *handle)
{
    handle_closed(container_of((uv_prepare_t *)handle, struct redis_link, flush));
}

void redis_link_close(struct redis_link *link)
{
    enum redis_link_state state = link->state;

    loop_cancel(link->loop, &link->waiter);
    set_state(link, REDIS_LINK_CLOSING);
    link->handles = 1;
    uv_close((uv_handle_t *)&link->flush, on_flush_closed);
    if (state == REDIS_LINK_RESOLVING) {
        link->handles++;
        redis_addresses_cancel(&link->addresses);
    } else if (state != REDIS_LINK_WAITING) {
        link->handles++;
        stream_close(&link->stream);
    }
    fail_requests(link);
}
