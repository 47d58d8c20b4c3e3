/*
 * What a client is sent, once it is a WebSocket: frames, the messages that they make, and the
 * protocol's elements in those. Everything is read where it lies; only what is in parts is copied.
 */
#include <stdio.h>

#include "tests/bench/client_inside.h"

static void end_by_close_frame(struct client *client, const unsigned char *data, uint64_t size)
{
    char reason[64 + FRAME_CONTROL_LIMIT];
    unsigned code = size >= 2 ? (unsigned)data[0] << 8 | data[1] : 1005;

    snprintf(reason, sizeof(reason), "closed by the server, code %u %.*s", code,
             size > 2 ? (int)size - 2 : 0, size > 2 ? (const char *)data + 2 : "");
    client_end(client, reason);
}

static void refuse(struct client *client, const struct element *element)
{
    char reason[160];

    snprintf(reason, sizeof(reason), "refused by the server: %.*s",
             (int)(element->size < 100 ? element->size : 100), (const char *)element->data);
    client_end(client, reason);
}

static void handle_element(struct client *client, const struct element *element)
{
    const struct client_events *events = client->crowd->events;

    switch (element->kind) {
    case ELEMENT_OTHER:
        return;
    case ELEMENT_READY:
        if (client->state == CLIENT_JOINING)
            client_open(client);
        return;
    case ELEMENT_MESSAGE:
        events->message(client, element->data, element->size);
        return;
    case ELEMENT_PING:
        client_write_words(client, element->data, element->size);
        client_flush(client);
        return;
    case ELEMENT_REFUSAL:
        refuse(client, element);
    }
}

/* Returns how many bytes were whole elements. */
static size_t read_elements(struct client *client, const unsigned char *data, size_t size)
{
    const struct protocol *protocol = client->destination->protocol;
    struct element element;
    size_t used = 0;

    while (used < size && client->state != CLIENT_CLOSED) {
        ssize_t read = protocol->read(data + used, size - used, &element);

        if (read == 0)
            break;
        if (read < 0)
            client_end(client, "sent what its protocol does not know");
        else
            handle_element(client, &element);
        used += read < 0 ? 0 : (size_t)read;
    }
    return used;
}

/* A message of WebSocket, as it was before it was compressed. */
static void handle_words(struct client *client, const unsigned char *data, size_t size)
{
    struct buffer *unread = &client->unread;

    if (unread->size > 0) {
        buffer_append(unread, data, size);
        data = unread->data;
        size = unread->size;
    }

    size_t used = read_elements(client, data, size);

    if (client->state == CLIENT_CLOSED)
        return;
    if (size - used > client->crowd->message_limit)
        client_end(client, "sent a message larger than any of ours");
    else if (unread->size > 0)
        buffer_consume(unread, used);
    else if (used < size)
        buffer_append(unread, data + used, size - used);
}

static void handle_message(struct client *client, const unsigned char *data, size_t size,
                           bool is_compressed)
{
    if (is_compressed &&
        decompressor_inflate(client->crowd->decompressor, data, size, &data, &size))
        client_end(client, "sent a compressed message that cannot be inflated");
    else
        handle_words(client, data, size);
}

static void handle_part(struct client *client, const struct frame *frame, const unsigned char *data)
{
    struct buffer parts;

    if (frame->is_final && frame->opcode != FRAME_CONTINUATION) {
        handle_message(client, data, frame->size, frame->is_compressed);
        return;
    }
    if (client->parts.size + frame->size > client->crowd->message_limit) {
        client_end(client, "sent a message larger than any of ours");
        return;
    }
    if (frame->opcode != FRAME_CONTINUATION)
        client->has_compressed_parts = frame->is_compressed;
    buffer_append(&client->parts, data, frame->size);
    if (!frame->is_final)
        return;
    parts = client->parts;
    client->parts = (struct buffer){0};
    handle_message(client, parts.data, parts.size, client->has_compressed_parts);
    buffer_deinit(&parts);
}

static void handle_frame(struct client *client, const struct frame *frame,
                         const unsigned char *data)
{
    switch (frame->opcode) {
    case FRAME_CONTINUATION:
    case FRAME_TEXT:
    case FRAME_BINARY:
        handle_part(client, frame, data);
        return;
    case FRAME_PING:
        client_write_frame(client, FRAME_PONG, data, frame->size);
        client_flush(client);
        return;
    case FRAME_PONG:
        if (client->waits_for_pong)
            client->crowd->events->pong(client);
        client->waits_for_pong = false;
        return;
    case FRAME_CLOSE:
        end_by_close_frame(client, data, frame->size);
        return;
    default:
        client_end(client, "sent an opcode that RFC 6455 does not know");
    }
}

/* What a server may not send, or NULL. */
static const char *find_fault(const struct client *client, const struct frame *frame)
{
    bool is_first = frame->opcode == FRAME_TEXT || frame->opcode == FRAME_BINARY;

    if (frame->is_masked)
        return "sent a masked frame";
    if (frame->has_reserved || (frame->is_compressed && !(client->crowd->decompressor && is_first)))
        return "sent a frame with a reserved bit";
    if (frame->size > client->crowd->message_limit ||
        (frame->opcode >= FRAME_CLOSE && frame->size > FRAME_CONTROL_LIMIT))
        return "sent a message larger than any of ours";
    return NULL;
}

size_t client_read_frames(struct client *client, const unsigned char *data, size_t size)
{
    size_t used = 0;
    struct frame frame;

    while (client_is_upgraded(client) && frame_read_header(data + used, size - used, &frame)) {
        const char *fault = find_fault(client, &frame);

        if (fault) {
            client_end(client, fault);
            break;
        }
        if (size - used - frame.header_size < frame.size)
            break;
        handle_frame(client, &frame, data + used + frame.header_size);
        used += frame.header_size + frame.size;
    }
    return used;
}
