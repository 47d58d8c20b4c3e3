/*
 * Tokens: the input is one as a client sends it or, with a newline in it, a header and the claims,
 * which are signed here with the secret that the gateway has. Only what names a known algorithm and
 * is signed is accepted, and nobody may change it on the way; no claim is larger than its limit;
 * who may listen to a channel may not connect by that; the same token says the same again.
 */
#include <assert.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "common/base64.h"
#include "common/buffer.h"
#include "common/channel_name.h"
#include "common/utf8.h"
#include "gateway/client_protocol.h"
#include "gateway/token.h"
#include "gateway/token_key.h"
#include "memory_file.h"

#define NOW    1700000000
#define SECRET "0123456789abcdef0123456789abcdef"

/* Of digits as few as say the same, 1e15 becomes 1000000000000000.0. */
#define GROWTH_LIMIT 5

/* Whose private keys signed the seeds; no one has them any more. */
static const char jwks[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"6bNJGW1VVhYrGAYgVfMUowVsEZLfvjr717DKJdh79hT2zwsN"
    "3-pe7o5pycmlS2HhRouLsIDZBPUu_TxT1UoUNJRHPE4igSdSs42WwYQcnV47UcQl3s_mOBTiCQJ2RzpAwr1A"
    "ENwhQ4SwOnafCaxNkgvTa37N8ToNdEPXd6x_HCW_BMlE_Yzq7_u4WYaQHAo0RthdU4tX_MblDBv-kfvHRg4K"
    "eAyfd3kIimBZ0lOg3hU01nG8DH63cnjhUx6WpPrDdwH0UVioGZB3T5ijJ4wU_077l8BINsTylv4cL2gb2YwC"
    "Lvoo8FUBinpiTX8f8q406ZOnxf2RP8Zux_p1-ereYw\",\"e\":\"AQAB\",\"kid\":\"r\"},{\"kty\":"
    "\"EC\",\"x\":\"LBdGEzBbBzDk9U6wVdH-UU_lcDbHFFfGbPf61cKBBgA\",\"y\":\"pABoioQ0z93S7AO"
    "RWEQK0AdcR1KDnrpvB_8JP7f49CY\",\"crv\":\"P-256\",\"kid\":\"e\"},{\"crv\":\"Ed25519\""
    ",\"x\":\"mUz7VxIYw7RQVyX0bMGM6ZYOhcFWnV-ve0J0PEiyf_w\",\"kty\":\"OKP\",\"kid\":\"d\""
    "}]}";

typedef enum token_outcome token_reader(const struct token_verifier *, struct text, int64_t,
                                        struct token_claims *);

static struct token_verifier *make_verifier(struct token_options options)
{
    struct token_verifier *verifier = NULL;
    struct memory_file secret;
    struct memory_file keys;
    char error[256];

    memory_file_create(&secret);
    memory_file_create(&keys);
    memory_file_write(&secret, SECRET, strlen(SECRET));
    memory_file_write(&keys, jwks, strlen(jwks));
    options.hmac_secret_file = secret.path;
    options.jwks_file = keys.path;

    int result = token_verifier_create(&verifier, &options, error);

    assert(result == 0);
    close(secret.descriptor);
    close(keys.descriptor);
    return verifier;
}

/* Base64url without padding, behind what is there. */
static void append_encoded(struct buffer *out, const void *bytes, size_t size)
{
    char *text = (char *)buffer_reserve(out, (size / 3 + 1) * 4 + 1);
    size_t length = (size_t)EVP_EncodeBlock((unsigned char *)text, bytes, (int)size);

    while (length > 0 && text[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '+')
            text[i] = '-';
        else if (text[i] == '/')
            text[i] = '_';
    }
    out->size += length;
}

static void sign(struct buffer *token, struct text header, struct text claims)
{
    unsigned char signature[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    append_encoded(token, header.data, header.size);
    buffer_append(token, ".", 1);
    append_encoded(token, claims.data, claims.size);
    HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), token->data, token->size, signature, &size);
    buffer_append(token, ".", 1);
    append_encoded(token, signature, size);
}

/* The header names an algorithm: that one, or any that is known. */
static void check_algorithm(struct text token, const char *expected)
{
    unsigned char bytes[BASE64_DECODED_LIMIT(TOKEN_LIMIT)];
    size_t size;
    const char *end = memchr(token.data, '.', token.size);
    int result = base64_decode(BASE64_URL, token.data, (size_t)(end - token.data), bytes, &size);

    assert(result == 0);

    json_t *header = json_loadb((const char *)bytes, size, 0, NULL);
    const char *name = json_string_value(json_object_get(header, "alg"));

    assert(name && token_algorithm_find(name) && !json_object_get(header, "crit"));
    assert(!expected || strcmp(name, expected) == 0);
    json_decref(header);
}

/* Base64 may say any bytes; what is JSON in the token is JSON behind it. */
static void check_bytes(const char *bytes, size_t size)
{
    if (bytes)
        assert(size <= GROWTH_LIMIT * TOKEN_LIMIT && bytes[size] == '\0');
}

static void check_subs(const struct token_claims *claims)
{
    assert(claims->sub_count <= TOKEN_SUBS_LIMIT);
    for (size_t i = 0; i < claims->sub_count; i++) {
        const struct token_sub *sub = &claims->subs[i];

        assert(channel_name_is_valid(sub->channel, strlen(sub->channel)));
        for (size_t k = 0; k < i; k++)
            assert(strcmp(sub->channel, claims->subs[k].channel) != 0);
        check_bytes(sub->info, sub->info_size);
        check_bytes(sub->data, sub->data_size);
    }
}

static void check_claims(const struct token_claims *claims)
{
    size_t user_size = strlen(claims->user);

    assert(!claims->problem && user_size <= TOKEN_USER_LIMIT);
    assert(utf8_is_valid((const unsigned char *)claims->user, user_size));
    assert(claims->expires_at_s >= 0 && claims->expires_at_s <= TOKEN_TIME_LIMIT);
    check_bytes(claims->info, claims->info_size);
    check_bytes(claims->meta, claims->meta_size);
    check_bytes(claims->data, claims->data_size);
    if (claims->meta)
        assert(client_is_json((struct text){claims->meta, claims->meta_size}));
    if (claims->channel)
        assert(channel_name_is_valid(claims->channel, strlen(claims->channel)));
    assert(!claims->client || claims->client[0] != '\0');
    check_subs(claims);
}

static void check_same_bytes(const char *one, size_t one_size, const char *other, size_t size)
{
    assert(!one == !other);
    assert(!one || (one_size == size && memcmp(one, other, size) == 0));
}

static void check_same(const struct token_claims *one, const struct token_claims *other)
{
    assert(one->problem == other->problem && !one->user == !other->user);
    assert(!one->user || strcmp(one->user, other->user) == 0);
    assert(one->expires_at_s == other->expires_at_s && one->sub_count == other->sub_count);
    check_same_bytes(one->info, one->info_size, other->info, other->info_size);
    check_same_bytes(one->meta, one->meta_size, other->meta, other->meta_size);
    check_same_bytes(one->data, one->data_size, other->data, other->data_size);
    for (size_t i = 0; i < one->sub_count; i++)
        assert(strcmp(one->subs[i].channel, other->subs[i].channel) == 0);
}

/* With another signature it is nobody's. */
static void check_forged(const struct token_verifier *verifier, struct text token,
                         token_reader *read)
{
    char forged[TOKEN_LIMIT];
    struct token_claims claims;

    memcpy(forged, token.data, token.size);

    char *signature = (char *)memrchr(forged, '.', token.size) + 1;

    *signature = *signature == 'A' ? 'B' : 'A';

    enum token_outcome outcome = read(verifier, (struct text){forged, token.size}, NOW, &claims);

    assert(outcome == TOKEN_INVALID);
    token_claims_deinit(&claims);
}

static enum token_outcome check(const struct token_verifier *verifier, struct text token,
                                token_reader *read, const char *algorithm)
{
    struct token_claims claims;
    struct token_claims again;
    enum token_outcome outcome = read(verifier, token, NOW, &claims);

    assert(read(verifier, token, NOW, &again) == outcome);
    check_same(&claims, &again);
    assert(ERR_peek_error() == 0);
    if (outcome == TOKEN_VALID)
        check_claims(&claims);
    else
        assert(claims.problem && !claims.user && claims.sub_count == 0 && !claims.info);
    if (outcome != TOKEN_INVALID) {
        check_algorithm(token, algorithm);
        check_forged(verifier, token, read);
    }
    token_claims_deinit(&claims);
    token_claims_deinit(&again);
    return outcome;
}

static void check_token(struct text token, const char *algorithm)
{
    static struct token_verifier *verifiers[2];

    if (!verifiers[0]) {
        verifiers[0] = make_verifier((struct token_options){0});
        verifiers[1] = make_verifier((struct token_options){
            .audience = "chat",
            .issuer = "shop",
            .leeway_s = 60,
            .user_id_claim = "uid",
        });
    }
    for (size_t i = 0; i < 2; i++) {
        enum token_outcome connection =
            check(verifiers[i], token, token_read_connection, algorithm);
        enum token_outcome subscription =
            check(verifiers[i], token, token_read_subscription, algorithm);

        assert(connection == TOKEN_INVALID || subscription == TOKEN_INVALID);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text input = {(const char *)data, size};
    const char *end = size > 0 ? memchr(input.data, '\n', size) : NULL;
    struct buffer token = {0};

    if (end) {
        size_t header_size = (size_t)(end - input.data);

        sign(&token, (struct text){input.data, header_size},
             (struct text){end + 1, size - header_size - 1});
        input = (struct text){(const char *)token.data, token.size};
    }
    check_token(input, end ? "HS256" : NULL);
    buffer_deinit(&token);
    return 0;
}
