/*
 * An answer is checked as a whole and then walked, because its data goes on as it was written; what
 * is read out of it for ourselves is small, and parsed. A reader here returns NULL or what is
 * wrong, as static text.
 */
#include <jansson.h>
#include <string.h>

#include "common/base64.h"
#include "common/memory.h"
#include "gateway/hook_message.h"
#include "gateway/json_check.h"
#include "gateway/json_walk.h"
#include "gateway/token_claims.h"
#include "gateway/token_json.h"

#define ERROR_CODE_LEAST      100 /* SDKs have others for themselves */
#define DISCONNECT_CODE_LEAST 3000
#define DISCONNECT_CODE_MOST  4999

static const char twice[] = "a member comes twice";

struct part {
    const char *name;
    struct text value; /* no data: it is not there, or null */
};

/* Finds members by their names, as they are written without escapes. */
static const char *find_parts(struct text object, struct part *parts, size_t count)
{
    struct json_members members;
    struct text name;
    struct text value;

    if (!json_members_init(&members, object))
        return "it is not an object";
    while (json_members_next(&members, &name, &value)) {
        for (size_t i = 0; i < count; i++) {
            size_t size = strlen(parts[i].name);

            if (name.size != size + 2 || memcmp(name.data + 1, parts[i].name, size) != 0)
                continue;
            if (parts[i].value.data)
                return twice;
            if (!text_is(value, "null"))
                parts[i].value = value;
        }
    }
    return NULL;
}

static const char *read_base64(struct text string, struct hook_answer *answer)
{
    char *encoded;
    size_t size;
    int error;

    if (!json_value_is_string(string))
        return "its b64data is not a string";
    encoded = memory_allocate(string.size);
    size = json_unescape(string, encoded);
    answer->data = memory_allocate(BASE64_DECODED_LIMIT(size) + 1);
    error = base64_decode(BASE64_STANDARD, encoded, size, (unsigned char *)answer->data,
                          &answer->data_size);
    memory_free(encoded);
    if (error)
        return "its b64data is not base64";
    answer->data[answer->data_size] = '\0';
    return NULL;
}

static const char *read_data(struct text data, struct text encoded, struct hook_answer *answer)
{
    if (encoded.data && !text_is(encoded, "\"\""))
        return read_base64(encoded, answer);
    if (data.data) {
        answer->data = memory_copy_text(data.data, data.size);
        answer->data_size = data.size;
    }
    return NULL;
}

static const char *read_switch(struct text value, bool *is_on)
{
    *is_on = text_is(value, "true");
    return *is_on || !value.data || text_is(value, "false")
               ? NULL
               : "one of its switches is not a boolean";
}

static bool is_json(const char *text, size_t size)
{
    return !text || json_is_valid((struct text){text, size});
}

/* Clients of every format are shown these. */
static const char *check_payloads(const struct hook_answer *answer)
{
    const struct token_claims *claims = &answer->claims;

    for (size_t i = 0; i < claims->sub_count; i++) {
        const struct token_sub *sub = &claims->subs[i];

        if (!is_json(sub->info, sub->info_size) || !is_json(sub->data, sub->data_size))
            return "the info or data of its subs is not JSON";
    }
    if (!is_json(claims->info, claims->info_size))
        return "its info is not JSON";
    return is_json(answer->data, answer->data_size) ? NULL : "its data is not JSON";
}

static const char *read_claims(struct text result, struct hook_answer *answer)
{
    json_t *parsed = token_json_parse(result.data, result.size);
    const char *problem = parsed ? token_claims_read_result(parsed, &answer->claims)
                                 : "its result is no object, or too deep, or has a key twice";

    json_decref(parsed);
    return problem ? problem : check_payloads(answer);
}

static const char *read_result(enum backend_hook hook, struct text result,
                               struct hook_answer *answer)
{
    struct part parts[] = {{"data", {NULL, 0}},
                           {"b64data", {NULL, 0}},
                           {"skip_history", {NULL, 0}},
                           {"expired", {NULL, 0}}};
    const char *problem = find_parts(result, parts, sizeof(parts) / sizeof(parts[0]));

    answer->has_result = true;
    if (!problem && hook != HOOK_REFRESH)
        problem = read_data(parts[0].value, parts[1].value, answer);
    if (!problem && hook == HOOK_PUBLISH)
        problem = read_switch(parts[2].value, &answer->skip_history);
    if (!problem && hook == HOOK_REFRESH)
        problem = read_switch(parts[3].value, &answer->is_expired);
    if (!problem && hook != HOOK_PUBLISH && hook != HOOK_RPC)
        problem = read_claims(result, answer);
    return problem;
}

/* The code of an error or a disconnect, and the text that goes with it. */
static const char *read_refusal(struct text refusal, const char *text_name, json_int_t least,
                                json_int_t most, struct hook_answer *answer)
{
    json_t *parsed = token_json_parse(refusal.data, refusal.size);
    const json_t *code = json_object_get(parsed, "code");
    const json_t *text = json_object_get(parsed, text_name);
    const char *problem = NULL;

    if (!json_is_integer(code) || json_integer_value(code) < least ||
        json_integer_value(code) > most)
        problem = "its error or disconnect has no code that may be";
    else if (text && !json_is_string(text) && !json_is_null(text))
        problem = "its message or reason is not a string";
    if (!problem) {
        answer->code = (uint32_t)json_integer_value(code);
        answer->is_temporary = json_is_true(json_object_get(parsed, "temporary"));
        answer->text = json_is_string(text)
                           ? memory_copy_text(json_string_value(text), json_string_length(text))
                           : memory_copy_text("", 0);
    }
    json_decref(parsed);
    return problem;
}

static const char *read_all(enum backend_hook hook, struct text body, struct hook_answer *answer)
{
    struct part parts[] = {{"result", {NULL, 0}}, {"error", {NULL, 0}}, {"disconnect", {NULL, 0}}};
    const char *problem;

    body = json_trim(body);
    if (!json_is_valid(body))
        return "it is not JSON";
    problem = find_parts(body, parts, sizeof(parts) / sizeof(parts[0]));
    if (problem)
        return problem;
    if (parts[2].value.data) {
        answer->verdict = HOOK_DISCONNECT;
        return read_refusal(parts[2].value, "reason", DISCONNECT_CODE_LEAST, DISCONNECT_CODE_MOST,
                            answer);
    }
    if (parts[1].value.data) {
        answer->verdict = HOOK_ERROR;
        return read_refusal(parts[1].value, "message", ERROR_CODE_LEAST, UINT32_MAX, answer);
    }
    return parts[0].value.data ? read_result(hook, parts[0].value, answer) : NULL;
}

void hook_answer_read(struct hook_answer *answer, enum backend_hook hook, struct text body)
{
    const char *problem;

    *answer = (struct hook_answer){.verdict = HOOK_RESULT};
    problem = read_all(hook, body, answer);
    if (!problem)
        return;
    hook_answer_deinit(answer);
    *answer = (struct hook_answer){.verdict = HOOK_BAD, .problem = problem};
}

void hook_answer_deinit(struct hook_answer *answer)
{
    token_claims_deinit(&answer->claims);
    memory_free(answer->text);
    memory_free(answer->data);
}
