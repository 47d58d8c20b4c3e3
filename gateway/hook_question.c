#include <openssl/evp.h>

#include "common/memory.h"
#include "gateway/hook_message.h"

static void put_text(struct buffer *body, const char *name, struct text text)
{
    buffer_printf(body, ",\"%s\":", name);
    client_write_json_string(body, text);
}

static void put_text_if_any(struct buffer *body, const char *name, struct text text)
{
    if (text.size > 0)
        put_text(body, name, text);
}

static void put_json(struct buffer *body, const char *name, struct text json)
{
    buffer_printf(body, ",\"%s\":", name);
    buffer_append(body, json.data, json.size);
}

static void put_base64(struct buffer *body, const char *name, struct text bytes)
{
    size_t size = (bytes.size + 2) / 3 * 4;

    buffer_printf(body, ",\"%s\":\"", name);
    EVP_EncodeBlock(buffer_reserve(body, size + 1), (const unsigned char *)bytes.data,
                    (int)bytes.size);
    body->size += size;
    buffer_append_text(body, "\"");
}

void hook_question_write(struct buffer *body, const struct hook_question *question)
{
    bool is_json = question->data.size == 0 || client_is_json(question->data);

    buffer_append_text(body, "{\"client\":");
    client_write_json_string(body, question->client);
    put_text(body, "transport", text_of(question->transport));
    put_text(body, "protocol", text_of(question->format == CLIENT_JSON ? "json" : "protobuf"));
    put_text(body, "encoding", text_of(is_json ? "json" : "binary"));
    if (question->hook != HOOK_CONNECT)
        put_text(body, "user", question->user);
    put_text_if_any(body, "channel", question->channel);
    put_text_if_any(body, "method", question->method);
    put_text_if_any(body, "name", question->name);
    put_text_if_any(body, "version", question->version);
    if (question->data.size > 0 && is_json)
        put_json(body, "data", question->data);
    else if (question->data.size > 0)
        put_base64(body, "b64data", question->data);
    if (question->meta.size > 0)
        put_json(body, "meta", question->meta);
    buffer_append_text(body, "}");
}
