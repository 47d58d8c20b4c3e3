/* Commands as JSON: checked as a whole, then read from the line itself, as payloads must go out as
 * they came in. */
#include "gateway/client_protocol_inside.h"
#include "gateway/json_check.h"
#include "gateway/json_walk.h"

/* Most strings have no escapes in them, and are handed out where they lie. */
static bool read_text(struct client_reader *reader, struct text value, struct text *text)
{
    char *copy;

    if (!json_value_is_string(value))
        return false;
    *text = (struct text){value.data + 1, value.size - 2};
    if (text->size == 0 || !memchr(text->data, '\\', text->size))
        return true;
    copy = client_reader_allocate(reader, value.size);
    *text = (struct text){copy, json_unescape(value, copy)};
    return true;
}

static bool read_bool(struct text value, bool *result)
{
    *result = text_is(value, "true");
    return *result || text_is(value, "false");
}

/* Digits alone: what has a sign, a fraction or an exponent is none, though 1e0 is 1. */
static bool read_uint(struct text value, uint64_t limit, uint64_t *result)
{
    *result = 0;
    for (size_t i = 0; i < value.size; i++) {
        unsigned digit = (unsigned char)value.data[i] - (unsigned)'0';

        if (digit > 9 || *result > (limit - digit) / 10)
            return false;
        *result = *result * 10 + digit;
    }
    return true;
}

static bool read_int32(struct text value, int32_t *result)
{
    bool is_negative = *value.data == '-';
    uint64_t size;

    if (is_negative)
        value = (struct text){value.data + 1, value.size - 1};
    if (!read_uint(value, (uint64_t)INT32_MAX + is_negative, &size))
        return false;
    *result = (int32_t)(is_negative ? -(int64_t)size : (int64_t)size);
    return true;
}

static bool read_message(struct client_reader *reader, struct text value,
                         const struct client_message *message, void *target);

static bool read_subs(struct client_reader *reader, struct text value,
                      const struct client_message *message, struct client_connect_request *connect)
{
    struct json_members members;
    struct text name;
    struct text channel;

    if (!json_members_init(&members, value))
        return false;
    while (json_members_next(&members, &name, &value)) {
        struct client_subscribe_request *sub;

        if (!read_text(reader, name, &channel))
            return false;
        sub = client_reader_add_sub(reader, connect, channel);
        if (!sub || !read_message(reader, value, message, sub))
            return false;
        sub->channel = channel;
    }
    return true;
}

static bool read_field(struct client_reader *reader, struct text value,
                       const struct client_field *field, void *target)
{
    void *place = client_field_target(field, target);

    if (field->type != CLIENT_FIELD_DATA && text_is(value, "null"))
        return true;
    switch (field->type) {
    case CLIENT_FIELD_TEXT:
        return read_text(reader, value, place);
    case CLIENT_FIELD_DATA:
        *(struct text *)place = value;
        return true;
    case CLIENT_FIELD_BOOL:
        return read_bool(value, place);
    case CLIENT_FIELD_INT32:
        return read_int32(value, place);
    case CLIENT_FIELD_UINT64:
        return read_uint(value, UINT64_MAX, place);
    case CLIENT_FIELD_MESSAGE:
        *(bool *)place = true;
        return read_message(reader, value, field->message, target);
    case CLIENT_FIELD_SUBS:
        return read_subs(reader, value, field->message, target);
    }
    return false;
}

static bool read_message(struct client_reader *reader, struct text value,
                         const struct client_message *message, void *target)
{
    struct json_members members;
    struct text name;
    uint32_t seen = 0;

    if (!json_members_init(&members, value))
        return false;
    while (json_members_next(&members, &name, &value)) {
        const struct client_field *field;

        if (!read_text(reader, name, &name))
            return false;
        field = client_field_find(message, &name, 0);
        if (!field)
            continue;

        uint32_t bit = UINT32_C(1) << (field - message->fields);

        if (seen & bit || !read_field(reader, value, field, target))
            return false;
        seen |= bit;
    }
    return true;
}

static bool read_id(struct text value, struct client_request *request)
{
    uint64_t id;

    if (request->id != 0 || !read_uint(value, UINT32_MAX, &id))
        return false;
    request->id = (uint32_t)id;
    return true;
}

/* A member of a command. */
static bool read_member(struct client_reader *reader, struct text name, struct text value,
                        struct client_request *request)
{
    const struct client_command *command;

    if (!read_text(reader, name, &name))
        return false;
    if (text_is(value, "null"))
        return true;
    if (text_is(name, "id"))
        return read_id(value, request);
    command = client_command_find(&name, 0);
    if (!command)
        return true;
    if (request->method != CLIENT_METHOD_UNKNOWN)
        return false;
    request->method = command->method;
    return read_message(reader, value, command->message, client_request_target(request));
}

bool client_json_read(struct client_reader *reader, struct text line,
                      struct client_request *request)
{
    struct json_members members;
    struct text name;
    struct text value;

    line = json_trim(line);
    if (!json_is_valid(line) || !json_members_init(&members, line))
        return false;
    while (json_members_next(&members, &name, &value)) {
        if (!read_member(reader, name, value, request))
            return false;
    }
    return true;
}
