/* Every publication of a client has its origin written once and read once in each gateway, so this
 * goes without protobuf-c, which takes six times the instructions. */
#include "common/protobuf_field.h"
#include "gateway/client_message.h"

/* proto/bus.proto */
enum { ORIGIN_USER = 1, ORIGIN_CLIENT, ORIGIN_CONN_INFO, ORIGIN_CHAN_INFO, ORIGIN_TAG };
enum { TAG_NAME = 1, TAG_VALUE };

static struct text text_of_field(const struct protobuf_field *field)
{
    return (struct text){(const char *)field->data, field->size};
}

static bool read_tag(const struct protobuf_field *bytes, struct client_tag *tag)
{
    const unsigned char *at = bytes->data;
    const unsigned char *end = at + bytes->size;
    struct protobuf_field field;

    *tag = (struct client_tag){0};
    while (protobuf_field_read(&at, end, &field)) {
        if (field.number > TAG_VALUE)
            continue;
        if (field.type != PROTOBUF_BYTES)
            return false;
        *(field.number == TAG_NAME ? &tag->name : &tag->value) = text_of_field(&field);
    }
    return at == end;
}

/* False where the field is not as it should be; one that nobody knows is. */
static bool take_field(struct client_origin *origin, const struct protobuf_field *field,
                       struct client_tag *tags)
{
    struct text *const places[] = {
        [ORIGIN_USER] = &origin->info.user,
        [ORIGIN_CLIENT] = &origin->info.client,
        [ORIGIN_CONN_INFO] = &origin->info.conn_info,
        [ORIGIN_CHAN_INFO] = &origin->info.chan_info,
    };

    if (field->number > ORIGIN_TAG)
        return true;
    if (field->type != PROTOBUF_BYTES)
        return false;
    if (field->number == ORIGIN_TAG)
        return tags && read_tag(field, &tags[origin->tag_count++]);
    *places[field->number] = text_of_field(field);
    return true;
}

static bool count_tags(struct text bytes, size_t *count)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    const unsigned char *end = at + bytes.size;
    struct protobuf_field field;

    *count = 0;
    while (protobuf_field_read(&at, end, &field))
        *count += field.number == ORIGIN_TAG;
    return at == end;
}

static bool read_origin(struct client_origin *origin, struct text bytes, struct arena *arena)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    const unsigned char *end = at + bytes.size;
    struct client_tag *tags = NULL;
    struct protobuf_field field;
    size_t tag_count;

    if (!count_tags(bytes, &tag_count))
        return false;
    if (tag_count > 0)
        tags = arena->allocator.alloc(arena->allocator.allocator_data, tag_count * sizeof(*tags));
    origin->tags = tags;
    while (protobuf_field_read(&at, end, &field)) {
        if (!take_field(origin, &field, tags))
            return false;
    }
    return true;
}

void client_origin_read(struct client_origin *origin, struct text bytes, struct arena *arena)
{
    *origin = (struct client_origin){0};
    if (bytes.size == 0)
        return;
    if (read_origin(origin, bytes, arena))
        origin->has_info = origin->info.client.size > 0 || origin->info.user.size > 0;
    else
        *origin = (struct client_origin){0};
}

static unsigned char *write_text(unsigned char *at, unsigned number, struct text text)
{
    return field_bytes_write(at, number, text.data, text.size);
}

static size_t tag_size(const struct client_tag *tag)
{
    return field_bytes_size(TAG_NAME, tag->name.size) +
           field_bytes_size(TAG_VALUE, tag->value.size);
}

static size_t info_size(const struct client_info *info)
{
    return field_bytes_size(ORIGIN_USER, info->user.size) +
           field_bytes_size(ORIGIN_CLIENT, info->client.size) +
           field_bytes_size(ORIGIN_CONN_INFO, info->conn_info.size) +
           field_bytes_size(ORIGIN_CHAN_INFO, info->chan_info.size);
}

static unsigned char *write_info(unsigned char *at, const struct client_info *info)
{
    at = write_text(at, ORIGIN_USER, info->user);
    at = write_text(at, ORIGIN_CLIENT, info->client);
    at = write_text(at, ORIGIN_CONN_INFO, info->conn_info);
    return write_text(at, ORIGIN_CHAN_INFO, info->chan_info);
}

void client_origin_write(struct buffer *out, const struct client_info *info,
                         const struct client_tag *tags, size_t tag_count)
{
    size_t size = info ? info_size(info) : 0;

    for (size_t i = 0; i < tag_count; i++)
        size += field_message_size(ORIGIN_TAG, tag_size(&tags[i]));

    unsigned char *at = buffer_reserve(out, size);

    if (info)
        at = write_info(at, info);
    for (size_t i = 0; i < tag_count; i++) {
        at = field_message_begin(at, ORIGIN_TAG, tag_size(&tags[i]));
        at = write_text(at, TAG_NAME, tags[i].name);
        at = write_text(at, TAG_VALUE, tags[i].value);
    }
    out->size += size;
}
