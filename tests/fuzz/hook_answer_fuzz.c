/*
 * Answers of the application's backend: the first byte says of which hook. What is understood keeps
 * its promises, and what is not leaves nothing behind.
 */
#include <assert.h>
#include <string.h>

#include "gateway/hook_message.h"

static void check_result(enum backend_hook hook, const struct hook_answer *answer)
{
    const struct token_claims *claims = &answer->claims;

    if (answer->data) {
        assert(hook != HOOK_REFRESH && answer->data[answer->data_size] == '\0');
        assert(hook == HOOK_PUBLISH || hook == HOOK_RPC ||
               client_is_json((struct text){answer->data, answer->data_size}));
    }
    if (claims->info)
        assert(client_is_json((struct text){claims->info, claims->info_size}));
    assert(claims->expires_at_s >= 0 && claims->sub_count <= TOKEN_SUBS_LIMIT);
    assert(answer->has_result || (!answer->data && claims->sub_count == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hook_answer answer;
    enum backend_hook hook;

    if (size == 0)
        return 0;
    hook = (enum backend_hook)(data[0] % HOOK_COUNT);
    hook_answer_read(&answer, hook, (struct text){(const char *)data + 1, size - 1});
    switch (answer.verdict) {
    case HOOK_RESULT:
        check_result(hook, &answer);
        break;
    case HOOK_ERROR:
        assert(answer.code >= 100 && answer.text);
        break;
    case HOOK_DISCONNECT:
        assert(answer.code >= 3000 && answer.code <= 4999 && answer.text);
        break;
    case HOOK_BAD:
        assert(answer.problem && !answer.data && !answer.text && answer.claims.sub_count == 0);
        break;
    }
    hook_answer_deinit(&answer);
    return 0;
}
