/*
 * What the application's backend is asked and answers: the JSON bodies of Centrifugo's HTTP proxy,
 * so that backends written for it are ours, too. Pure: no I/O, and so what the fuzzer holds.
 */
#ifndef GATEWAY_HOOK_MESSAGE_H
#define GATEWAY_HOOK_MESSAGE_H

#include "common/buffer.h"
#include "common/text.h"
#include "gateway/backend.h"
#include "gateway/client_protocol.h"
#include "gateway/token.h"

/* Empty texts are left out, but for the user. */
struct hook_question {
    enum backend_hook hook;
    struct text client;
    const char *transport; /* "websocket", … */
    enum client_format format;
    struct text user; /* of all but HOOK_CONNECT */
    struct text channel;
    struct text method;
    struct text name; /* of the client's library */
    struct text version;
    /* A payload: goes as `data` where it is JSON, else as `b64data` in base64; `encoding` says
     * which, "json" or "binary". */
    struct text data;
    struct text meta; /* JSON */
};

/* Appends the body of a request. */
void hook_question_write(struct buffer *body, const struct hook_question *question);

enum hook_verdict {
    HOOK_RESULT,
    HOOK_ERROR,      /* `code`, `text`: for the client */
    HOOK_DISCONNECT, /* it is to go, with these */
    HOOK_BAD,        /* `problem`: no answer that we understand */
};

struct hook_answer {
    enum hook_verdict verdict;
    uint32_t code; /* of an error, 100 or more; of a disconnect, 3000 to 4999 */
    char *text;
    bool is_temporary;
    const char *problem; /* static text without anything of the answer */

    /* Of a result; one that is not there says nothing, as an empty one does. */
    bool has_result;
    /* HOOK_CONNECT: user, expires_at_s, info, meta, subs. HOOK_REFRESH: expires_at_s, info.
     * HOOK_SUBSCRIBE: expires_at_s, info, override. Infos, and the data of subs, are JSON. */
    struct token_claims claims;
    char *data; /* JSON as it was sent, or what b64data says, with a zero behind; NULL: none. JSON
                   of a connect or subscribe */
    size_t data_size;
    bool is_expired;   /* HOOK_REFRESH */
    bool skip_history; /* HOOK_PUBLISH */
};

/* Reads a body; the answer is the caller's to free, whatever its verdict. */
void hook_answer_read(struct hook_answer *answer, enum backend_hook hook, struct text body);

void hook_answer_deinit(struct hook_answer *answer);

#endif
