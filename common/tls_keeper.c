#include "common/tls_keeper.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <uv.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/metrics.h"
#include "common/tls_tickets.h"

#define LOOK_MS 500

/* What tells one state of a file from another. */
struct identity {
    uint64_t device;
    uint64_t inode;
    int64_t size;
    int64_t modified_s;
    int64_t modified_ns;
};

static void identify(struct buffer *seen, const char *path)
{
    struct stat status;
    struct identity identity = {0}; /* of a file that is not there */

    if (!path || path[0] == '\0')
        return;
    if (stat(path, &status) == 0)
        identity = (struct identity){status.st_dev, status.st_ino, status.st_size,
                                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    buffer_append(seen, &identity, sizeof(identity));
}

static struct buffer look(const struct tls_source *source)
{
    struct buffer seen = {0};

    for (size_t i = 0; i < source->certificates->count; i++) {
        identify(&seen, source->certificates->items[i]);
        identify(&seen, source->keys->items[i]);
    }
    identify(&seen, source->ca);
    identify(&seen, source->ticket_keys);
    return seen;
}

static bool is_same(const struct buffer *one, const struct buffer *other)
{
    return one->size == other->size &&
           (one->size == 0 || memcmp(one->data, other->data, one->size) == 0);
}

static void set(struct buffer *buffer, struct buffer value)
{
    buffer_deinit(buffer);
    *buffer = value;
}

/* Who only looks whether the files are good has no loop, and needs no time. */
static uint64_t now_ms(const struct tls_keeper *keeper)
{
    return keeper->loop ? loop_now_ms(keeper->loop) : 0;
}

/* One reference; NULL in `*tickets` where there are to be none. */
static int load_tickets(struct tls_keeper *keeper, struct tls_tickets **tickets,
                        char error[TLS_ERROR_LIMIT])
{
    const char *file = keeper->source.ticket_keys;
    size_t line;

    *tickets = NULL;
    if (!file)
        return 0;
    if (file[0] == '\0') {
        if (!keeper->random)
            keeper->random = tls_tickets_random(now_ms(keeper));
        *tickets = tls_tickets_ref(keeper->random);
        return 0;
    }

    int result = tls_tickets_load(tickets, file, &line);

    if (result == UV_EINVAL && line > 0)
        snprintf(error, TLS_ERROR_LIMIT,
                 "ticket keys in %.300s: line %zu is not 64 hexadecimal "
                 "digits, or one too many",
                 file, line);
    else if (result)
        snprintf(error, TLS_ERROR_LIMIT, "cannot use the ticket keys in %.300s: %s", file,
                 result == UV_EINVAL ? "there are none" : uv_strerror(result));
    return result;
}

static int load(struct tls_keeper *keeper, struct tls_context **context,
                char error[TLS_ERROR_LIMIT])
{
    const struct tls_source *source = &keeper->source;
    size_t count = source->certificates->count;
    struct tls_pair *pairs = memory_zeroed(count + 1, sizeof(*pairs));
    struct tls_options options = {
        .pairs = pairs,
        .pair_count = count,
        .ca = source->ca,
        .minimum = source->minimum,
        .is_http = source->is_http,
        .may_offload = source->may_offload,
    };

    for (size_t i = 0; i < count; i++)
        pairs[i] = (struct tls_pair){source->certificates->items[i], source->keys->items[i]};

    int result = load_tickets(keeper, &options.tickets, error);

    if (!result)
        result = source->is_server ? tls_context_serve(context, &options, error)
                                   : tls_context_dial(context, &options, error);
    tls_tickets_unref(options.tickets);
    memory_free(pairs);
    return result ? UV_EINVAL : 0;
}

static bool has_expired(const struct tls_context *context)
{
    int64_t expiry = tls_context_expiry(context);

    return expiry != 0 && expiry <= (int64_t)time(NULL);
}

static void log_loaded(const struct tls_keeper *keeper)
{
    char text[32] = "never";
    time_t expiry = (time_t)tls_context_expiry(keeper->context);
    struct tm parts;

    if (expiry != 0 && gmtime_r(&expiry, &parts))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    log_event(has_expired(keeper->context) ? LOG_WARNING : LOG_INFO,
              log_name("certificates loaded"), log_text("role", keeper->source.role),
              log_text("expiry", text));
}

static void replace(struct tls_keeper *keeper)
{
    char error[TLS_ERROR_LIMIT];
    struct tls_context *context = NULL;
    int result = load(keeper, &context, error);

    if (!result && has_expired(context)) {
        snprintf(error, sizeof(error), "the certificate has expired");
        result = UV_EINVAL;
    }
    if (result) {
        log_event(LOG_ERROR, log_name("certificates refused, the old ones stay"),
                  log_text("role", keeper->source.role), log_text("error", error));
        tls_context_unref(context);
        return;
    }
    tls_context_unref(keeper->context);
    keeper->context = context;
    log_loaded(keeper);
    if (keeper->replaced)
        keeper->replaced(keeper);
}

/* Whoever writes certificate and key, one after the other, is given the time between two looks. */
static void on_look(struct waiter *waiter)
{
    struct tls_keeper *keeper = container_of(waiter, struct tls_keeper, waiter);
    struct buffer now = look(&keeper->source);
    bool is_steady = is_same(&now, &keeper->seen);
    bool is_new = !is_same(&now, &keeper->loaded);

    set(&keeper->seen, now);
    if (is_steady && is_new) {
        set(&keeper->loaded, look(&keeper->source));
        replace(keeper);
    }
    if (keeper->random)
        tls_tickets_rotate(keeper->random, now_ms(keeper));
    loop_wait(keeper->loop, &keeper->waiter, LOOK_MS);
}

int tls_keeper_start(struct tls_keeper *keeper, struct loop *loop, const struct tls_source *source,
                     void (*replaced)(struct tls_keeper *keeper), char error[TLS_ERROR_LIMIT])
{
    *keeper = (struct tls_keeper){.loop = loop, .source = *source, .replaced = replaced};
    keeper->loaded = look(source);
    keeper->seen = look(source);

    int result = load(keeper, &keeper->context, error);

    if (result)
        return result;
    log_loaded(keeper);
    waiter_init(&keeper->waiter, on_look);
    loop_wait(loop, &keeper->waiter, LOOK_MS);
    return 0;
}

void tls_keeper_reload(struct tls_keeper *keeper, const struct tls_source *source)
{
    if (!keeper->context)
        return;
    keeper->source = *source;
    set(&keeper->loaded, look(source));
    set(&keeper->seen, look(source));
    replace(keeper);
}

int tls_source_check(const struct tls_source *source, char error[TLS_ERROR_LIMIT])
{
    struct tls_keeper keeper = {.source = *source};
    int result = load(&keeper, &keeper.context, error);

    tls_context_unref(keeper.context);
    tls_tickets_unref(keeper.random);
    return result;
}

#define EXPIRY_METRIC "carillon_tls_certificate_expiry_timestamp_seconds"

void tls_keeper_describe_expiry(struct buffer *text)
{
    metrics_describe(text, EXPIRY_METRIC, METRIC_GAUGE,
                     "When the certificate in a file ends, in seconds since 1970; of a CA's file "
                     "the one that ends first.");
}

void tls_keeper_append_expiry(struct buffer *text, const struct tls_keeper *keeper)
{
    size_t count = 0;
    const struct tls_file *files =
        keeper->context ? tls_context_files(keeper->context, &count) : NULL;

    for (size_t i = 0; i < count; i++) {
        struct buffer labels = {0};

        buffer_printf(&labels, "role=\"%s\",file=\"", keeper->source.role);
        metrics_escape(&labels, files[i].path);
        buffer_append(&labels, "\"", sizeof("\""));
        metrics_sample(text, EXPIRY_METRIC, (const char *)labels.data, (double)files[i].expiry);
        buffer_deinit(&labels);
    }
}

void tls_keeper_close(struct tls_keeper *keeper)
{
    if (!keeper->context)
        return;
    loop_cancel(keeper->loop, &keeper->waiter);
    tls_context_unref(keeper->context);
    keeper->context = NULL;
    tls_tickets_unref(keeper->random);
    buffer_deinit(&keeper->seen);
    buffer_deinit(&keeper->loaded);
}
