/* The claims of a token whose signature is ours, and the rules for them. */
#ifndef GATEWAY_TOKEN_CLAIMS_H
#define GATEWAY_TOKEN_CLAIMS_H

#include <jansson.h>
#include <stdint.h>

#include "gateway/token.h"

enum token_purpose { TOKEN_FOR_CONNECTION, TOKEN_FOR_SUBSCRIPTION };

struct token_rules {
    char *audience; /* empty: any */
    char *issuer;   /* empty: any */
    char *user_claim;
    int64_t leeway_s;
};

/* Fills `claims`, which are empty (zero) where the outcome is not TOKEN_VALID but for `problem`. */
enum token_outcome token_claims_read(const struct token_rules *rules, enum token_purpose purpose,
                                     const json_t *payload, int64_t now_s,
                                     struct token_claims *claims);

/* The same of what the application's backend says of a client (hook_message.h), whose `user` is who
 * it is. NULL, or what is wrong, as static text; then the claims may be filled in part. */
const char *token_claims_read_result(const json_t *result, struct token_claims *claims);

#endif
