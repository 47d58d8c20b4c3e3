#include "tests/bench/load.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/memory.h"
#include "tests/bench/client.h"
#include "tests/bench/clock.h"
#include "tests/bench/progress.h"
#include "tests/bench/rooms.h"

#define EVENT_COUNT   1024
#define CONNECT_LIMIT 256                   /* handshakes under way */
#define SETTLE_NS     CLOCK_SECOND_NS       /* without a message, after something went wrong */
#define FOREIGN_LIMIT ((size_t)1024 * 1024) /* what others may send beside us, or with ours */

enum phase { CONNECTING, HOLDING, WARMING, MEASURING, DRAINING, CONFIRMING, FINISHED };

struct load {
    const struct arguments *arguments;
    struct load_result *result;
    enum phase phase;
    uint64_t now_ns;
    uint64_t phase_began_ns;
    uint64_t phase_ends_ns; /* UINT64_MAX: not at a certain time */
    uint64_t last_sign_ns;  /* of life: a connection opened, a message or a pong arrived */
    struct progress progress;
    int timer;
    uint64_t timer_set_ns;

    struct crowd crowd;
    struct destinations destinations; /* clients take them in turn */
    struct client *clients;
    uint32_t client_count;
    uint32_t started; /* connects */
    uint32_t pongs;

    struct rooms rooms;
};

static volatile sig_atomic_t is_stopped;

void load_stop(void)
{
    is_stopped = 1;
}

__attribute__((format(printf, 2, 3))) static void note_trouble(struct load_result *result,
                                                               const char *format, ...)
{
    va_list arguments;

    if (result->trouble[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(result->trouble, sizeof(result->trouble), format, arguments);
    va_end(arguments);
}

static void enter(struct load *load, enum phase phase, uint64_t duration_ns)
{
    load->phase = phase;
    load->phase_began_ns = load->now_ns;
    load->phase_ends_ns = duration_ns == UINT64_MAX ? UINT64_MAX : load->now_ns + duration_ns;
    load->last_sign_ns = load->now_ns;
}

/* Events of the clients. */

static void on_opened(struct client *client)
{
    struct load *load = client->crowd->context;

    load->result->opened++;
    load->last_sign_ns = client->crowd->now_ns;
}

static void on_message(struct client *client, const unsigned char *data, size_t size)
{
    struct load *load = client->crowd->context;
    uint64_t now_ns = client->crowd->now_ns;
    uint64_t due_ns = 0;

    if (!rooms_receive(&load->rooms, client, data, size, &due_ns))
        return;
    load->last_sign_ns = now_ns;
    measurement_note_delivery(&load->result->measurement, due_ns, now_ns);
}

static void on_pong(struct client *client)
{
    struct load *load = client->crowd->context;

    load->pongs++;
    load->last_sign_ns = client->crowd->now_ns;
}

static void on_ended(struct client *client, const char *reason)
{
    struct load *load = client->crowd->context;

    load->result->ended++;
    note_trouble(load->result, "connection %u: %s", client->index, reason);
}

static const struct client_events client_events = {on_opened, on_message, on_pong, on_ended};

/* Connecting. */

static uint32_t connects_due(const struct load *load)
{
    const struct arguments *arguments = load->arguments;
    uint32_t due = load->client_count;

    if (load->result->opened < load->destinations.count && load->result->opened < due)
        return load->result->opened + 1; /* it finds the address for all that go there */
    if (arguments->connect_rate > 0) {
        double elapsed_ns = (double)(load->now_ns - load->phase_began_ns);
        double scheduled = elapsed_ns / (double)CLOCK_SECOND_NS * arguments->connect_rate + 1;

        if (scheduled < due)
            due = (uint32_t)scheduled;
    }
    if (due > load->result->opened + CONNECT_LIMIT)
        due = load->result->opened + CONNECT_LIMIT;
    return due;
}

static void connect_more(struct load *load)
{
    uint32_t due = connects_due(load);

    while (load->started < due && load->result->trouble[0] == '\0') {
        uint32_t index = load->started++;
        int error = client_dial(&load->clients[index], &load->crowd,
                                destinations_take(&load->destinations, index), index);

        if (error)
            note_trouble(load->result, "connection %u: %s", index, strerror(-error));
    }
}

/* Phases. */

static void note_process(struct load *load, int error)
{
    if (error)
        note_trouble(load->result, "process %d: %s", load->arguments->server.pids[0],
                     strerror(-error));
}

static void begin_measuring(struct load *load, enum phase phase)
{
    const struct arguments *arguments = load->arguments;
    struct measurement *measurement = &load->result->measurement;
    uint64_t length_ns = arguments->messages > 0 ? UINT64_MAX : arguments->duration_ns;

    note_process(load, measurement_begin(measurement, length_ns));
    if (arguments->messages > 0)
        rooms_limit(&load->rooms, arguments->messages);
    load->now_ns = measurement->from_ns;
    enter(load, phase, length_ns);
}

static void end_measuring(struct load *load)
{
    note_process(load, measurement_end(&load->result->measurement, load->now_ns));
    enter(load, DRAINING, UINT64_MAX);
}

static void after_connecting(struct load *load)
{
    load->result->connect_ns = load->now_ns - load->phase_began_ns;
    note_process(load, measurement_note_connected(&load->result->measurement));
    if (load->arguments->is_idle) {
        begin_measuring(load, HOLDING);
        return;
    }
    rooms_start(&load->rooms, load->now_ns);
    enter(load, WARMING, load->arguments->warmup_ns);
}

static void publish(struct load *load)
{
    if (!is_stopped)
        rooms_publish(&load->rooms, load->now_ns, load->phase_ends_ns);
}

static bool is_measured(struct load *load)
{
    if (is_stopped || load->now_ns >= load->phase_ends_ns)
        return true;
    return rooms_are_finished(&load->rooms);
}

static void begin_confirming(struct load *load)
{
    enter(load, CONFIRMING, UINT64_MAX);
    for (uint32_t i = 0; i < load->client_count; i++) {
        client_write_ping(&load->clients[i]);
        client_flush(&load->clients[i]);
    }
}

/* Silence means something only while an answer is owed. */
static bool waits_for_server(struct load *load)
{
    switch (load->phase) {
    case CONNECTING:
        return load->started > load->result->opened;
    case CONFIRMING:
        return load->pongs < load->client_count;
    default:
        return !rooms_are_settled(&load->rooms);
    }
}

static void give_up_if_stalled(struct load *load)
{
    const struct load_result *result = load->result;
    uint32_t clients = load->client_count;

    if (result->trouble[0] != '\0')
        return; /* step_in_trouble has a limit of its own */
    if (!waits_for_server(load))
        load->last_sign_ns = load->now_ns;
    if (load->now_ns < load->last_sign_ns + load->arguments->timeout_ns)
        return;
    if (load->phase == CONNECTING && client_try_next_address(&load->clients[result->opened]))
        load->last_sign_ns = load->now_ns;
    else if (load->phase == CONNECTING)
        note_trouble(load->result, "only %u of %u clients could connect", result->opened, clients);
    else if (load->phase == CONFIRMING)
        note_trouble(load->result, "only %u of %u clients had their ping answered", load->pongs,
                     clients);
    else
        note_trouble(load->result, "nothing arrived any more");
}

/* Nothing more is sent; what is under way still counts, so that the report is exact. */
static void step_in_trouble(struct load *load)
{
    struct rooms_total total;

    rooms_add_up(&load->rooms, &total);
    if (load->phase == WARMING)
        enter(load, DRAINING, UINT64_MAX);
    else if (load->phase == MEASURING)
        end_measuring(load);
    if (load->phase != DRAINING || total.lost == 0 ||
        load->now_ns >= load->last_sign_ns + SETTLE_NS)
        enter(load, FINISHED, 0);
}

static void step(struct load *load)
{
    uint32_t channel;
    const char *fault = rooms_fault(&load->rooms, &channel);

    load->now_ns = clock_now_ns();
    give_up_if_stalled(load);
    if (fault && load->rooms.count > 1)
        note_trouble(load->result, "channel %u: %s", channel, fault);
    else if (fault)
        note_trouble(load->result, "%s", fault);
    if (load->result->trouble[0] != '\0') {
        step_in_trouble(load);
        return;
    }
    switch (load->phase) {
    case CONNECTING:
        connect_more(load);
        if (load->result->opened == load->client_count)
            after_connecting(load);
        else if (is_stopped)
            enter(load, FINISHED, 0);
        break;
    case HOLDING:
        if (is_stopped || load->arguments->is_accept || load->now_ns >= load->phase_ends_ns)
            end_measuring(load);
        break;
    case WARMING:
        if (is_stopped || load->now_ns >= load->phase_ends_ns)
            begin_measuring(load, MEASURING);
        publish(load);
        break;
    case MEASURING:
        publish(load);
        if (is_measured(load))
            end_measuring(load);
        break;
    case DRAINING:
        if (rooms_are_settled(&load->rooms))
            begin_confirming(load);
        break;
    case CONFIRMING:
        if (load->pongs == load->client_count)
            enter(load, FINISHED, 0);
        break;
    case FINISHED:
        break;
    }
}

/* A new phase begins at once, not with the next event. */
static void step_until_waiting(struct load *load)
{
    enum phase before;

    do {
        before = load->phase;
        step(load);
    } while (load->phase != before);
}

static void show_progress(struct load *load)
{
    static const char *const names[] = {"connecting", "holding",    "warming up", "measuring",
                                        "draining",   "confirming", "done"};
    struct rooms_total total;

    rooms_add_up(&load->rooms, &total);

    struct progress_figures figures = {
        .phase = names[load->phase],
        .opened = load->result->opened,
        .sent = total.sent,
        .received = total.received,
        .latency = &load->result->measurement.latency,
    };

    progress_show(&load->progress, load->now_ns, &figures);
}

/* The time at which `step` has something to do though no socket has. */
static uint64_t wake_ns(const struct load *load)
{
    const struct arguments *arguments = load->arguments;
    uint64_t wake = progress_due_ns(&load->progress);
    bool publishes = load->phase == WARMING || load->phase == MEASURING;

    if (load->phase_ends_ns < wake)
        wake = load->phase_ends_ns;
    if (publishes && rooms_next_due_ns(&load->rooms) < wake)
        wake = rooms_next_due_ns(&load->rooms);
    if (load->phase == CONNECTING && arguments->connect_rate > 0) {
        double interval_ns = (double)CLOCK_SECOND_NS / arguments->connect_rate;
        uint64_t due = load->phase_began_ns + (uint64_t)(interval_ns * load->started);

        if (due < wake && load->started < load->client_count)
            wake = due > load->now_ns ? due : load->now_ns + 1000000;
    }
    return wake;
}

static void wait_for_events(struct load *load)
{
    struct epoll_event events[EVENT_COUNT];
    uint64_t wake = wake_ns(load);

    if (wake != load->timer_set_ns) {
        struct itimerspec time = {
            .it_value = {.tv_sec = (time_t)(wake / CLOCK_SECOND_NS),
                         .tv_nsec = (long)(wake % CLOCK_SECOND_NS)},
        };

        timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &time, NULL);
        load->timer_set_ns = wake;
    }

    int count = epoll_wait(load->crowd.epoll, events, EVENT_COUNT, -1);

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            client_handle(events[i].data.ptr, events[i].events);
    }
}

/* Preparing and ending. */

static int resolve(struct load *load)
{
    const char *host;
    int error = destinations_resolve(&load->destinations, &host);

    if (error == 0)
        return 0;
    note_trouble(load->result, "%s: %s", host, gai_strerror(error));
    return -ENOENT;
}

static int prepare_crowd(struct load *load)
{
    const struct arguments *arguments = load->arguments;
    int error = 0;

    if (arguments->urls[0].is_secure)
        error = crowd_secure(&load->crowd, arguments->is_insecure);
    if (!error && arguments->is_deflated)
        error = crowd_inflate(&load->crowd);
    if (error)
        note_trouble(load->result, "OpenSSL or zlib cannot be used");
    return error;
}

static int raise_file_limit(struct load *load)
{
    struct rlimit limit;
    uint64_t needed = load->client_count + 16ull;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= needed)
        return 0;
    note_trouble(load->result, "%u clients need %llu open files, the limit is %llu (ulimit -n)",
                 load->client_count, (unsigned long long)needed,
                 (unsigned long long)limit.rlim_cur);
    return -EMFILE;
}

static int prepare_timer(struct load *load)
{
    struct epoll_event event = {.events = EPOLLIN};

    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (load->timer < 0 || epoll_ctl(load->crowd.epoll, EPOLL_CTL_ADD, load->timer, &event) < 0) {
        note_trouble(load->result, "cannot watch: %s", strerror(errno));
        return -errno;
    }
    return 0;
}

static int prepare(struct load *load)
{
    const struct arguments *arguments = load->arguments;
    size_t limit = arguments->size > FOREIGN_LIMIT ? arguments->size : FOREIGN_LIMIT;
    int error = crowd_init(&load->crowd, &client_events, load, limit);

    load->client_count = arguments_connections(arguments);
    load->clients = memory_zeroed(load->client_count, sizeof(*load->clients));
    destinations_init(&load->destinations, arguments);
    rooms_init(&load->rooms, arguments, load->clients);
    if (error)
        note_trouble(load->result, "cannot watch: %s", strerror(-error));
    if (!error)
        error = prepare_crowd(load);
    if (!error)
        error = raise_file_limit(load);
    if (!error)
        error = resolve(load);
    if (!error)
        error = prepare_timer(load);
    return error;
}

static void finish(struct load *load)
{
    struct load_result *result = load->result;
    struct process_usage usage;

    result->has_server_ended = processes_read_usage(&load->arguments->server, &usage) == -ESRCH;
    for (uint32_t i = 0; i < load->started; i++)
        client_close(&load->clients[i]);
    if (load->timer >= 0)
        close(load->timer);
    crowd_deinit(&load->crowd);
    rooms_add_up(&load->rooms, &result->total);
    rooms_deinit(&load->rooms);
    destinations_deinit(&load->destinations);
    memory_free(load->clients);
}

void load_run(const struct arguments *arguments, struct load_result *result)
{
    struct load load = {.arguments = arguments, .result = result, .timer = -1};

    if (prepare(&load) == 0) {
        note_process(&load, measurement_init(&result->measurement, &arguments->server));
        load.now_ns = clock_now_ns();
        progress_init(&load.progress, STDERR_FILENO, arguments->is_quiet, load.now_ns);
        enter(&load, CONNECTING, UINT64_MAX);
        for (step_until_waiting(&load); load.phase != FINISHED; step_until_waiting(&load)) {
            if (load.now_ns >= progress_due_ns(&load.progress))
                show_progress(&load);
            wait_for_events(&load);
        }
        progress_clear(&load.progress);
    }
    finish(&load);
}
