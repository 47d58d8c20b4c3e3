/* What a frame asks: its commands one after another, and the tables of what may be in them. */
#include "gateway/client_protocol.h"

#include "common/protobuf_field.h"
#include "gateway/client_protocol_inside.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A message of these fields. */
#define MESSAGE(...)                                                                               \
    {                                                                                              \
        (const struct client_field[]){__VA_ARGS__},                                                \
            COUNT(((const struct client_field[]){__VA_ARGS__}))                                    \
    }

/* A field that is called as the member of `owner` where it goes. */
#define FIELD(field_number, field_type, owner, member)                                             \
    {                                                                                              \
        .name = #member, .number = (field_number), .type = CLIENT_FIELD_##field_type,              \
        .offset = offsetof(struct owner, member)                                                   \
    }

static const struct client_message empty_message = {NULL, 0};

static const struct client_message subscribe_message =
    MESSAGE(FIELD(1, TEXT, client_subscribe_request, channel),
            FIELD(2, TEXT, client_subscribe_request, token),
            FIELD(3, BOOL, client_subscribe_request, recover),
            FIELD(6, TEXT, client_subscribe_request, epoch),
            FIELD(7, UINT64, client_subscribe_request, offset),
            FIELD(8, DATA, client_subscribe_request, data),
            FIELD(9, BOOL, client_subscribe_request, positioned),
            FIELD(10, BOOL, client_subscribe_request, recoverable),
            FIELD(11, BOOL, client_subscribe_request, join_leave),
            FIELD(12, TEXT, client_subscribe_request, delta),
            {"tf", 13, CLIENT_FIELD_MESSAGE, offsetof(struct client_subscribe_request, has_filter),
             &empty_message},
            FIELD(15, INT32, client_subscribe_request, type));

static const struct client_message connect_message = MESSAGE(
    FIELD(1, TEXT, client_connect_request, token), FIELD(2, DATA, client_connect_request, data),
    {"subs", 3, CLIENT_FIELD_SUBS, 0, &subscribe_message},
    FIELD(4, TEXT, client_connect_request, name), FIELD(5, TEXT, client_connect_request, version));

static const struct client_message publish_message = MESSAGE(
    FIELD(1, TEXT, client_publish_request, channel), FIELD(2, DATA, client_publish_request, data),
    FIELD(1000, TEXT, client_publish_request, idempotency_key));

static const struct client_message since_message =
    MESSAGE(FIELD(1, UINT64, client_history_request, offset),
            FIELD(2, TEXT, client_history_request, epoch));

static const struct client_message history_message = MESSAGE(
    FIELD(1, TEXT, client_history_request, channel), FIELD(7, INT32, client_history_request, limit),
    {"since", 8, CLIENT_FIELD_MESSAGE, offsetof(struct client_history_request, has_since),
     &since_message},
    FIELD(9, BOOL, client_history_request, reverse));

static const struct client_message rpc_message =
    MESSAGE(FIELD(1, DATA, client_rpc_request, data), FIELD(2, TEXT, client_rpc_request, method));

static const struct client_message refresh_message =
    MESSAGE(FIELD(1, TEXT, client_token_request, token));

static const struct client_message sub_refresh_message = MESSAGE(
    FIELD(1, TEXT, client_token_request, channel), FIELD(2, TEXT, client_token_request, token));

/* Of those that have one field, which is the target. */
static const struct client_message channel_message =
    MESSAGE({"channel", 1, CLIENT_FIELD_TEXT, 0, NULL});
static const struct client_message data_message = MESSAGE({"data", 1, CLIENT_FIELD_DATA, 0, NULL});

static const struct client_command commands[] = {
    {"connect", 4, CLIENT_CONNECT, &connect_message},
    {"subscribe", 5, CLIENT_SUBSCRIBE, &subscribe_message},
    {"unsubscribe", 6, CLIENT_UNSUBSCRIBE, &channel_message},
    {"publish", 7, CLIENT_PUBLISH, &publish_message},
    {"presence", 8, CLIENT_PRESENCE, &channel_message},
    {"presence_stats", 9, CLIENT_PRESENCE_STATS, &channel_message},
    {"history", 10, CLIENT_HISTORY, &history_message},
    {"ping", 11, CLIENT_PING, &empty_message},
    {"send", 12, CLIENT_SEND, &data_message},
    {"rpc", 13, CLIENT_RPC, &rpc_message},
    {"refresh", 14, CLIENT_REFRESH, &refresh_message},
    {"sub_refresh", 15, CLIENT_SUB_REFRESH, &sub_refresh_message},
};

const struct client_command *client_command_find(const struct text *name, uint64_t number)
{
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (name ? text_is(*name, commands[i].name) : number == commands[i].number)
            return &commands[i];
    }
    return NULL;
}

const struct client_field *client_field_find(const struct client_message *message,
                                             const struct text *name, uint64_t number)
{
    for (size_t i = 0; i < message->count; i++) {
        const struct client_field *field = &message->fields[i];

        if (name ? text_is(*name, field->name) : number == field->number)
            return field;
    }
    return NULL;
}

void *client_reader_allocate(struct client_reader *reader, size_t size)
{
    return reader->arena.allocator.alloc(reader->arena.allocator.allocator_data, size);
}

struct client_subscribe_request *client_reader_add_sub(struct client_reader *reader,
                                                       struct client_connect_request *request,
                                                       struct text channel)
{
    struct client_subscribe_request *sub;

    if (request->sub_count == CLIENT_SUBS_LIMIT)
        return NULL;
    if (!request->subs)
        request->subs = client_reader_allocate(reader, CLIENT_SUBS_LIMIT * sizeof(*request->subs));
    for (size_t i = 0; i < request->sub_count; i++) {
        if (text_equals(request->subs[i].channel, channel))
            return NULL;
    }
    sub = &request->subs[request->sub_count++];
    *sub = (struct client_subscribe_request){.channel = channel};
    return sub;
}

void client_reader_init(struct client_reader *reader, enum client_format format, const void *frame,
                        size_t size)
{
    reader->format = format;
    reader->next = frame;
    reader->left = size;
    arena_init(&reader->arena, ARENA_UNLIMITED);
}

static struct text take(struct client_reader *reader, size_t size)
{
    struct text taken = {(const char *)reader->next, size};

    reader->next += size;
    reader->left -= size;
    return taken;
}

static bool is_blank(struct text line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    }
    return true;
}

/* The next line that has something in it. False at the end. */
static bool take_line(struct client_reader *reader, struct text *line)
{
    while (reader->left > 0) {
        const unsigned char *end = memchr(reader->next, '\n', reader->left);

        *line = take(reader, end ? (size_t)(end - reader->next) : reader->left);
        if (end)
            take(reader, 1);
        if (!is_blank(*line))
            return true;
    }
    return false;
}

bool client_reader_is_done(const struct client_reader *reader)
{
    static const char blanks[] = " \t\r\n";
    size_t i = 0;

    if (reader->format == CLIENT_PROTOBUF)
        return reader->left == 0;
    while (i < reader->left && reader->next[i] != '\0' && strchr(blanks, reader->next[i]))
        i++;
    return i == reader->left;
}

/* The command behind the next length; empty where that lies, with `*is_bad`. False at the end. */
static bool take_delimited(struct client_reader *reader, struct text *command, bool *is_bad)
{
    const unsigned char *at = reader->next;
    const unsigned char *end;
    uint64_t size;

    if (reader->left == 0)
        return false;
    end = at + reader->left;
    *is_bad = !varint_read(&at, end, VARINT_SHORT, &size) || size > (size_t)(end - at);
    if (!*is_bad) {
        take(reader, (size_t)(at - reader->next));
        *command = take(reader, (size_t)size);
    }
    return true;
}

/* A command has an id, unless nobody is to answer it. False where it has none. */
static bool conclude(struct client_request *request)
{
    if (request->method == CLIENT_METHOD_UNKNOWN && request->id == 0)
        request->method = CLIENT_PONG;
    return request->id != 0 || request->method == CLIENT_PONG || request->method == CLIENT_SEND;
}

enum client_read client_reader_next(struct client_reader *reader, struct client_request *request)
{
    bool is_json = reader->format == CLIENT_JSON;
    bool is_bad = false;
    struct text command = {0};

    arena_deinit(&reader->arena);
    arena_init(&reader->arena, ARENA_UNLIMITED);
    if (is_json ? !take_line(reader, &command) : !take_delimited(reader, &command, &is_bad))
        return CLIENT_READ_END;
    memset(request, 0, sizeof(*request));
    request->method = CLIENT_METHOD_UNKNOWN;
    if (!is_bad && (is_json ? client_json_read : client_protobuf_read)(reader, command, request) &&
        conclude(request))
        return CLIENT_READ_REQUEST;
    reader->left = 0;
    return CLIENT_READ_BAD;
}

void client_reader_deinit(struct client_reader *reader)
{
    arena_deinit(&reader->arena);
}
