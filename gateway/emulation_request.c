#include "gateway/emulation_request.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "common/protobuf_field.h"
#include "common/random.h"
#include "common/utf8.h"
#include "gateway/json_check.h"
#include "gateway/json_walk.h"

enum { NODE = 1, SESSION = 2, DATA = 3 }; /* as the SDKs have them */

static bool is_hexadecimal(char c, unsigned *digit)
{
    if (c >= '0' && c <= '9')
        *digit = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *digit = (unsigned)(c - 'a') + 10;
    else
        return false;
    return true;
}

static uint64_t read_node(struct text name)
{
    uint64_t node = 0;
    unsigned digit;

    if (name.size != EMULATION_NODE_SIZE)
        return 0;
    for (size_t i = 0; i < name.size; i++) {
        if (!is_hexadecimal(name.data[i], &digit))
            return 0;
        node = node << 4 | digit;
    }
    return node;
}

/* Takes what a string says; `*space` is behind it afterwards. */
static struct text take_string(struct text string, char **space)
{
    struct text text = {*space, json_unescape(string, *space)};

    *space += text.size;
    return text;
}

static bool read_json(struct text body, char *space, struct emulation_request *request)
{
    struct json_members members;
    struct text name;
    struct text value;
    struct text node = {NULL, 0};

    body = json_trim(body);
    if (!json_is_valid(body) || !json_members_init(&members, body))
        return false;
    while (json_members_next(&members, &name, &value)) {
        bool is_string = json_value_is_string(value);
        struct text *target = text_is(name, "\"session\"") ? &request->session
                              : text_is(name, "\"node\"")  ? &node
                              : text_is(name, "\"data\"")  ? &request->data
                                                           : NULL;

        if (!target)
            continue;
        if (target->data || (!is_string && target != &request->data))
            return false;
        *target = is_string ? take_string(value, &space) : value;
    }
    request->node = read_node(node);
    return true;
}

static bool read_protobuf(struct text body, struct emulation_request *request)
{
    const unsigned char *at = (const unsigned char *)body.data;
    const unsigned char *end = at + body.size;
    struct protobuf_field field;

    while (protobuf_field_read(&at, end, &field)) {
        struct text value = {(const char *)field.data, field.size};

        if (field.number < NODE || field.number > DATA)
            continue;
        if (field.type != PROTOBUF_BYTES)
            return false;
        if (field.number == SESSION)
            request->session = value;
        else if (field.number == NODE)
            request->node = read_node(value);
        else
            request->data = value;
    }
    return at == end;
}

/* Names go on in protobuf's strings. */
static bool is_name(struct text session)
{
    return session.size > 0 && session.size < EMULATION_SESSION_LIMIT &&
           utf8_is_valid((const unsigned char *)session.data, session.size) &&
           !memchr(session.data, '\0', session.size);
}

bool emulation_request_read(struct text body, enum client_format format, char *space,
                            struct emulation_request *request)
{
    *request = (struct emulation_request){.node = 0};
    return (format == CLIENT_JSON ? read_json(body, space, request)
                                  : read_protobuf(body, request)) &&
           is_name(request->session) && request->data.size > 0;
}

void emulation_write_session(char name[EMULATION_SESSION_LIMIT], unsigned worker)
{
    snprintf(name, EMULATION_SESSION_LIMIT, "%u-%016" PRIx64 "%016" PRIx64, worker, random_id(),
             random_id());
}

void emulation_write_node(char name[EMULATION_NODE_SIZE + 1], uint64_t node)
{
    snprintf(name, EMULATION_NODE_SIZE + 1, "%016" PRIx64, node);
}

unsigned emulation_worker_of(struct text session)
{
    unsigned worker = 0;
    size_t i = 0;

    for (; i < session.size && session.data[i] >= '0' && session.data[i] <= '9'; i++) {
        if (worker >= 1000)
            return UINT_MAX;
        worker = worker * 10 + (unsigned)(session.data[i] - '0');
    }
    return i > 0 && i < session.size && session.data[i] == '-' ? worker : UINT_MAX;
}
