#include "gateway/client_message.h"

#include "common/utf8.h"
#include "gateway/fossil.h"

static void *allocate(struct arena *arena, size_t size)
{
    return arena->allocator.alloc(arena->allocator.allocator_data, size);
}

static enum client_data data_kind(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_TEXT:
        return CLIENT_DATA_TEXT;
    case MESSAGE_JSON:
    case MESSAGE_PASSING_JSON:
        return CLIENT_DATA_JSON;
    default:
        return CLIENT_DATA_BYTES;
    }
}

/* In JSON, bytes are a string like any other: this tells them apart. */
static const struct client_tag binary_tag = {{"kind", 4}, {"binary", 6}};

struct client_publication client_publication_of(const struct message *message,
                                                struct client_origin *origin, struct arena *arena)
{
    client_origin_read(origin, message->origin, arena);
    if (data_kind(message->kind) == CLIENT_DATA_BYTES && origin->tag_count == 0) {
        origin->tags = &binary_tag;
        origin->tag_count = 1;
    }
    return (struct client_publication){
        .kind = data_kind(message->kind),
        .data = {(const char *)message->data, message->data_size},
        .info = origin->has_info ? &origin->info : NULL,
        .offset = message->offset,
        .time_ms = message->time_ms,
        .tags = origin->tags,
        .tag_count = origin->tag_count,
    };
}

const struct client_publication *client_publications_of(struct message *const *messages,
                                                        size_t count, bool in_deltas,
                                                        struct arena *arena)
{
    if (count == 0)
        return NULL;

    struct client_publication *publications = allocate(arena, count * sizeof(*publications));
    struct client_origin *origins = allocate(arena, count * sizeof(*origins));

    for (size_t i = 0; i < count; i++) {
        publications[i] = client_publication_of(messages[i], &origins[i], arena);
        publications[i].as_string = in_deltas;
    }
    return publications;
}

/* The data as clients of the format are given it. */
static struct text shown(struct buffer *out, enum client_format format,
                         const struct message *message)
{
    struct text data = {(const char *)message->data, message->data_size};

    if (format == CLIENT_PROTOBUF)
        return data;
    client_write_json_data(out, data_kind(message->kind), data);
    return (struct text){(const char *)out->data, out->size};
}

/* Writes the difference to `delta`; false where that is no gain, or cannot be shown in JSON. */
static bool write_delta(struct buffer *delta, enum client_format format,
                        const struct message *message, const struct message *base)
{
    struct buffer before = {0};
    struct buffer now = {0};
    struct text source = shown(&before, format, base);
    struct text target = shown(&now, format, message);

    fossil_write_delta(delta, source, target);

    bool is_good = delta->size < target.size &&
                   (format == CLIENT_PROTOBUF || utf8_is_valid(delta->data, delta->size));

    buffer_deinit(&before);
    buffer_deinit(&now);
    return is_good;
}

static void push_publication(struct buffer *out, enum client_format format, struct text channel,
                             const struct message *message, const struct message *base,
                             bool in_deltas)
{
    struct client_origin origin;
    struct buffer delta = {0};
    struct arena arena;

    arena_init(&arena, ARENA_UNLIMITED);

    struct client_publication publication = client_publication_of(message, &origin, &arena);

    publication.as_string = in_deltas;
    publication.time_ms = 0; /* which is now, and no SDK asks; what comes late has it */
    if (base && write_delta(&delta, format, message, base)) {
        publication.is_delta = true;
        publication.data = (struct text){(const char *)delta.data, delta.size};
    }
    client_push_publication(out, format, channel, &publication);
    buffer_deinit(&delta);
    arena_deinit(&arena);
}

static void push_presence(struct buffer *out, enum client_format format, struct text channel,
                          const struct message *message)
{
    struct client_origin origin;
    struct arena arena;

    arena_init(&arena, ARENA_UNLIMITED);
    client_origin_read(&origin, message->origin, &arena);
    if (message->kind == MESSAGE_JOIN)
        client_push_join(out, format, channel, &origin.info);
    else
        client_push_leave(out, format, channel, &origin.info);
    arena_deinit(&arena);
}

void client_push_message_of_channel(struct buffer *out, enum client_format format,
                                    const struct message *message, const struct message *base,
                                    bool in_deltas)
{
    struct text channel = {message->channel, message->channel_size};

    if (message_is_publication(message->kind))
        push_publication(out, format, channel, message, base, in_deltas);
    else
        push_presence(out, format, channel, message);
}
