/*
 * A token is header.payload.signature, each in base64url (RFC 7515 §3.1). Until the signature is
 * found to be ours, nothing of it is believed, and nothing but the header is read; of the header,
 * only which algorithm and which key. Keys that a token brings with it (jwk, jku, x5u, x5c) are
 * never looked at.
 */
#include "gateway/token.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/base64.h"
#include "common/memory.h"
#include "gateway/token_claims.h"
#include "gateway/token_json.h"
#include "gateway/token_keys.h"

#define TRIES_LIMIT 16

struct token_verifier {
    struct token_rules rules;
    struct token_keys keys;
};

struct parts {
    struct text header;
    struct text payload;
    struct text signature;
    struct text signed_text; /* header and payload with the point between them */
};

static bool is_given(const char *option)
{
    return option && option[0] != '\0';
}

static char *copy_option(const char *option, const char *fallback)
{
    const char *value = is_given(option) ? option : fallback;

    return memory_copy_text(value, strlen(value));
}

static int add_pem(struct token_keys *keys, const char *path, enum token_key_family family,
                   char error[TOKEN_KEYS_ERROR])
{
    return is_given(path) ? token_keys_add_pem(keys, path, family, error) : 0;
}

static int add_keys(struct token_keys *keys, const struct token_options *options,
                    char error[TOKEN_KEYS_ERROR])
{
    int result = 0;

    if (is_given(options->hmac_secret_file))
        result = token_keys_add_secrets(keys, options->hmac_secret_file, error);
    if (!result)
        result = add_pem(keys, options->rsa_public_key, TOKEN_FAMILY_RSA, error);
    if (!result)
        result = add_pem(keys, options->ecdsa_public_key, TOKEN_FAMILY_ECDSA, error);
    if (!result)
        result = add_pem(keys, options->eddsa_public_key, TOKEN_FAMILY_EDDSA, error);
    if (!result && is_given(options->jwks_file))
        result = token_keys_add_jwks(keys, options->jwks_file, error);
    return result;
}

int token_verifier_create(struct token_verifier **verifier, const struct token_options *options,
                          char error[TOKEN_KEYS_ERROR])
{
    if (options->leeway_s > TOKEN_LEEWAY_LIMIT) {
        snprintf(error, TOKEN_KEYS_ERROR, "the leeway of tokens is more than a day");
        return UV_EINVAL;
    }

    struct token_verifier *made = memory_zeroed(1, sizeof(*made));
    int result = add_keys(&made->keys, options, error);

    made->rules = (struct token_rules){
        .audience = copy_option(options->audience, ""),
        .issuer = copy_option(options->issuer, ""),
        .user_claim = copy_option(options->user_id_claim, "sub"),
        .leeway_s = (int64_t)options->leeway_s,
    };
    if (result)
        token_verifier_destroy(made);
    else
        *verifier = made;
    return result;
}

void token_verifier_destroy(struct token_verifier *verifier)
{
    if (!verifier)
        return;
    token_keys_deinit(&verifier->keys);
    memory_free(verifier->rules.audience);
    memory_free(verifier->rules.issuer);
    memory_free(verifier->rules.user_claim);
    memory_free(verifier);
}

bool token_verifier_has_keys(const struct token_verifier *verifier)
{
    return verifier->keys.count > 0;
}

/* Cuts at the points, of which there are two; a JWE (RFC 7516) has more. */
static bool cut(struct text token, struct parts *parts)
{
    const char *end = token.data + token.size;
    const char *first = token.size > 0 ? memchr(token.data, '.', token.size) : NULL;
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;

    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    parts->header = (struct text){token.data, (size_t)(first - token.data)};
    parts->payload = (struct text){first + 1, (size_t)(second - first - 1)};
    parts->signature = (struct text){second + 1, (size_t)(end - second - 1)};
    parts->signed_text = (struct text){token.data, (size_t)(second - token.data)};
    return true;
}

/* A part that is a JSON object, which the caller frees; NULL: it is none. */
static json_t *read_object(struct text part)
{
    unsigned char bytes[BASE64_DECODED_LIMIT(TOKEN_LIMIT)];
    size_t size;

    if (base64_decode(BASE64_URL, part.data, part.size, bytes, &size))
        return NULL;
    return token_json_parse((const char *)bytes, size);
}

static bool has_key_of_id(const struct token_keys *keys, const char *id)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].id && strcmp(keys->keys[i].id, id) == 0)
            return true;
    }
    return false;
}

/* Without an id any key is; with one, those that have it, or where none has it those without. */
static bool is_meant(const struct token_key *key, const char *id, bool is_named)
{
    if (!id)
        return true;
    return is_named ? key->id && strcmp(key->id, id) == 0 : !key->id;
}

/* NULL if the signature is by one of our keys, or what is wrong. */
static const char *verify(const struct token_keys *keys, const struct parts *parts,
                          const struct token_algorithm *algorithm, const char *id)
{
    unsigned char signature[BASE64_DECODED_LIMIT(TOKEN_LIMIT)];
    bool is_named = id && has_key_of_id(keys, id);
    size_t size;
    size_t tries = 0;

    if (base64_decode(BASE64_URL, parts->signature.data, parts->signature.size, signature, &size))
        return "its signature is not base64url";
    for (size_t i = 0; i < keys->count && tries < TRIES_LIMIT; i++) {
        const struct token_key *key = &keys->keys[i];

        if (!is_meant(key, id, is_named) || !token_key_fits(key, algorithm))
            continue;
        tries++;
        if (token_key_verify(key, algorithm, parts->signed_text, signature, size))
            return NULL;
    }
    return tries > 0 ? "its signature is by none of the keys"
                     : "there is no key for its kid and alg";
}

/* NULL if the header is one of ours and the signature, too; or what is wrong. */
static const char *check_header(const struct token_keys *keys, const struct parts *parts,
                                const json_t *header)
{
    const json_t *name = json_object_get(header, "alg");
    const json_t *id = json_object_get(header, "kid");
    const struct token_algorithm *algorithm;

    if (!header)
        return "its header is not base64url of a JSON object";
    if (json_object_get(header, "crit")) /* RFC 7515 §4.1.11: no extension is understood here */
        return "its header asks for an extension (crit)";
    if (!json_is_string(name))
        return "its header names no alg";
    if (id && !json_is_string(id))
        return "its kid is not a string";
    algorithm = token_algorithm_find(json_string_value(name));
    if (!algorithm)
        return "its alg is none that is known";
    return verify(keys, parts, algorithm, json_string_value(id));
}

static const char *check_signature(const struct token_keys *keys, const struct parts *parts)
{
    json_t *header = read_object(parts->header);
    const char *problem = check_header(keys, parts, header);

    json_decref(header);
    return problem;
}

static enum token_outcome refuse(struct token_claims *claims, const char *problem)
{
    claims->problem = problem;
    return TOKEN_INVALID;
}

static enum token_outcome read_token(const struct token_verifier *verifier, struct text token,
                                     enum token_purpose purpose, int64_t now_s,
                                     struct token_claims *claims)
{
    struct parts parts;
    const char *problem;

    *claims = (struct token_claims){0};
    if (token.size > TOKEN_LIMIT)
        return refuse(claims, "it is larger than 16 KB");
    if (!cut(token, &parts))
        return refuse(claims, "it is not header.payload.signature");
    problem = check_signature(&verifier->keys, &parts);
    if (problem)
        return refuse(claims, problem);

    json_t *payload = read_object(parts.payload);
    enum token_outcome outcome =
        payload ? token_claims_read(&verifier->rules, purpose, payload, now_s, claims)
                : refuse(claims, "its payload is not base64url of a JSON object");

    json_decref(payload);
    return outcome;
}

enum token_outcome token_read_connection(const struct token_verifier *verifier, struct text token,
                                         int64_t now_s, struct token_claims *claims)
{
    return read_token(verifier, token, TOKEN_FOR_CONNECTION, now_s, claims);
}

enum token_outcome token_read_subscription(const struct token_verifier *verifier, struct text token,
                                           int64_t now_s, struct token_claims *claims)
{
    return read_token(verifier, token, TOKEN_FOR_SUBSCRIPTION, now_s, claims);
}
