/* An application that signs tokens, with OpenSSL's own signing, and its key files. */
#ifndef TESTS_TOKEN_FIXTURE_H
#define TESTS_TOKEN_FIXTURE_H

#include "certificate_fixture.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <uv.h>

#include "common/memory.h"
#include "gateway/token.h"

#define NOW    1700000000
#define SECRET "0123456789abcdef0123456789abcdef"

/* Who signs: with a private key, or with a secret where there is none. */
struct signer {
    const char *algorithm;
    const EVP_MD *(*digest)(void);
    EVP_PKEY *key;
    const char *secret;
    size_t half; /* of an ECDSA signature */
};

static EVP_PKEY *rsa;
static EVP_PKEY *p256;
static EVP_PKEY *p384;
static EVP_PKEY *p521;
static EVP_PKEY *ed25519;

static const struct signer hs256 = {"HS256", EVP_sha256, NULL, SECRET, 0};

/* base64url without padding; the caller frees it with memory_free. */
static inline char *encode(const void *bytes, size_t size)
{
    char *text = memory_allocate((size / 3 + 1) * 4 + 1);
    int length = EVP_EncodeBlock((unsigned char *)text, bytes, (int)size);

    while (length > 0 && text[length - 1] == '=')
        length--;
    text[length] = '\0';
    for (char *at = text; *at; at++) {
        if (*at == '+')
            *at = '-';
        else if (*at == '/')
            *at = '_';
    }
    return text;
}

/* ASN.1 to R and S of fixed size. */
static inline size_t split_halves(unsigned char *signature, size_t size, size_t half)
{
    const unsigned char *at = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)size);

    assert_non_null(pair);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, (int)half);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + half, (int)half);
    ECDSA_SIG_free(pair);
    return 2 * half;
}

static inline size_t sign(const struct signer *signer, const char *text,
                          unsigned char signature[1024])
{
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned secret_size = 0;
    size_t size = 1024;

    if (!signer->key) {
        const char *secret = signer->secret ? signer->secret : "";

        assert_non_null(HMAC(signer->digest(), secret, (int)strlen(secret), bytes, strlen(text),
                             signature, &secret_size));
        return secret_size;
    }

    EVP_MD_CTX *context = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestSignInit(context, NULL, signer->digest ? signer->digest() : NULL,
                                        NULL, signer->key),
                     1);
    assert_int_equal(EVP_DigestSign(context, signature, &size, bytes, strlen(text)), 1);
    EVP_MD_CTX_free(context);
    return signer->half > 0 ? split_halves(signature, size, signer->half) : size;
}

static inline char *join(const char *one, const char *other)
{
    size_t size = strlen(one) + strlen(other) + 2;
    char *text = memory_allocate(size);

    snprintf(text, size, "%s.%s", one, other);
    return text;
}

/* A token with that header, whatever it says, signed as the signer does it. */
static inline char *make_token_with(const struct signer *signer, const char *header,
                                    const char *payload)
{
    unsigned char signature[1024];
    char *header_part = encode(header, strlen(header));
    char *payload_part = encode(payload, strlen(payload));
    char *text = join(header_part, payload_part);
    char *signature_part = encode(signature, sign(signer, text, signature));
    char *token = join(text, signature_part);

    memory_free(header_part);
    memory_free(payload_part);
    memory_free(text);
    memory_free(signature_part);
    return token;
}

static inline char *make_token(const struct signer *signer, const char *payload)
{
    char header[64];

    snprintf(header, sizeof(header), "{\"typ\":\"JWT\",\"alg\":\"%s\"}", signer->algorithm);
    return make_token_with(signer, header, payload);
}

/* The text of a public key as applications publish it. */
static inline const char *write_public_key(const char *name, EVP_PKEY *key)
{
    const char *path = in_directory(name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(PEM_write_PUBKEY(file, key), 1);
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline const char *write_file(const char *name, const char *text)
{
    const char *path = in_directory(name);

    write_text(path, text);
    return path;
}

/* A number of the key as a member of a JWK. */
static inline void put_number(char *jwk, size_t limit, const char *name, EVP_PKEY *key,
                              const char *parameter, int size)
{
    unsigned char bytes[512];
    BIGNUM *number = NULL;
    size_t used = strlen(jwk);

    assert_int_equal(EVP_PKEY_get_bn_param(key, parameter, &number), 1);
    size = size > 0 ? size : BN_num_bytes(number);
    BN_bn2binpad(number, bytes, size);

    char *text = encode(bytes, (size_t)size);

    snprintf(jwk + used, limit - used, ",\"%s\":\"%s\"", name, text);
    memory_free(text);
    BN_free(number);
}

/* The key as a JWK; `members` are more of it, such as "\"kid\":\"a\"". */
static inline const char *make_jwk(EVP_PKEY *key, const char *members)
{
    static char jwks[4][2048];
    static unsigned next;
    char *jwk = jwks[next++ % 4];
    int half = (EVP_PKEY_get_bits(key) + 7) / 8;
    char curve[16];

    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        snprintf(jwk, sizeof(jwks[0]), "{%s,\"kty\":\"RSA\"", members);
        put_number(jwk, sizeof(jwks[0]), "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
        put_number(jwk, sizeof(jwks[0]), "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
    } else {
        snprintf(curve, sizeof(curve), "P-%d", EVP_PKEY_get_bits(key));
        snprintf(jwk, sizeof(jwks[0]), "{%s,\"kty\":\"EC\",\"crv\":\"%s\"", members, curve);
        put_number(jwk, sizeof(jwks[0]), "x", key, OSSL_PKEY_PARAM_EC_PUB_X, half);
        put_number(jwk, sizeof(jwks[0]), "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, half);
    }
    strncat(jwk, "}", sizeof(jwks[0]) - strlen(jwk) - 1);
    return jwk;
}

static inline struct token_verifier *make_verifier(const struct token_options *options)
{
    struct token_verifier *verifier = NULL;
    char error[256] = "";

    if (token_verifier_create(&verifier, options, error))
        fail_msg("%s", error);
    assert_true(token_verifier_has_keys(verifier));
    return verifier;
}

/* Both ways to read it; the claims are freed. NULL where it is valid, or what is wrong. */
static inline const char *read_problem(const struct token_verifier *verifier, const char *token,
                                       enum token_outcome *outcome)
{
    struct token_claims claims;

    *outcome = token_read_connection(verifier, text_of(token), NOW, &claims);

    const char *problem = claims.problem;

    assert_true((*outcome == TOKEN_VALID) == (problem == NULL));
    assert_true((*outcome == TOKEN_VALID) == (claims.user != NULL));
    token_claims_deinit(&claims);
    assert_int_equal(ERR_peek_error(), 0);
    return problem;
}

static inline void expect_valid(const struct token_verifier *verifier, const char *token)
{
    enum token_outcome outcome;
    const char *problem = read_problem(verifier, token, &outcome);

    if (problem)
        fail_msg("refused: %s", problem);
}

static inline void expect_invalid(const struct token_verifier *verifier, const char *token,
                                  const char *problem)
{
    enum token_outcome outcome;
    const char *found = read_problem(verifier, token, &outcome);

    assert_int_equal(outcome, TOKEN_INVALID);
    assert_string_equal(found, problem);
}

static inline int make_keys(void **state)
{
    (void)state;
    make_certificate_directory();
    rsa = EVP_RSA_gen(2048);
    p256 = EVP_EC_gen("P-256");
    p384 = EVP_EC_gen("P-384");
    p521 = EVP_EC_gen("P-521");
    ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return 0;
}

static inline int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(p521);
    EVP_PKEY_free(ed25519);
    remove_certificate_directory();
    return 0;
}

#endif
