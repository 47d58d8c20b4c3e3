/*
 * What clients without a WebSocket post: the first byte says in which format. What is understood
 * lies within the body or the space that was given for it, and says the same again.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "gateway/emulation_request.h"

static bool lies_within(struct text text, const void *bytes, size_t size)
{
    return text.data >= (const char *)bytes && text.data + text.size <= (const char *)bytes + size;
}

static void check(const struct emulation_request *request, struct text body, const char *space)
{
    assert(request->session.size > 0 && request->session.size < EMULATION_SESSION_LIMIT);
    assert(utf8_is_valid((const unsigned char *)request->session.data, request->session.size));
    assert(request->data.size > 0);
    assert(lies_within(request->session, body.data, body.size) ||
           lies_within(request->session, space, body.size));
    assert(lies_within(request->data, body.data, body.size) ||
           lies_within(request->data, space, body.size));
    (void)emulation_worker_of(request->session);
}

static void expect_node(uint64_t node)
{
    char name[EMULATION_NODE_SIZE + 1];
    char body[100];
    char space[100];
    struct emulation_request request;

    emulation_write_node(name, node);
    snprintf(body, sizeof(body), "{\"node\":\"%s\",\"session\":\"0-a\",\"data\":\"x\"}", name);
    assert(emulation_request_read(text_of(body), CLIENT_JSON, space, &request));
    assert(request.node == node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emulation_request request;
    struct text body;
    char *space;

    if (size == 0)
        return 0;
    body = (struct text){(const char *)data + 1, size - 1};
    space = malloc(size);
    if (emulation_request_read(body, data[0] % 2 ? CLIENT_PROTOBUF : CLIENT_JSON, space,
                               &request)) {
        check(&request, body, space);
        expect_node(request.node);
    }
    free(space);
    return 0;
}
