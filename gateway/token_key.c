/*
 * Signatures are checked with OpenSSL itself: the libjwt of Debian 12 (1.10) knows neither key sets
 * nor EdDSA, and compares HMACs in a time that depends on how much of them is right.
 */
#include "gateway/token_key.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/objects.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

static const struct token_algorithm algorithms[] = {
    {"HS256", TOKEN_KEY_SECRET, EVP_sha256, 0}, {"HS384", TOKEN_KEY_SECRET, EVP_sha384, 0},
    {"HS512", TOKEN_KEY_SECRET, EVP_sha512, 0}, {"RS256", TOKEN_KEY_RSA, EVP_sha256, 0},
    {"RS384", TOKEN_KEY_RSA, EVP_sha384, 0},    {"RS512", TOKEN_KEY_RSA, EVP_sha512, 0},
    {"ES256", TOKEN_KEY_P256, EVP_sha256, 32},  {"ES384", TOKEN_KEY_P384, EVP_sha384, 48},
    {"ES512", TOKEN_KEY_P521, EVP_sha512, 66},  {"EdDSA", TOKEN_KEY_ED25519, NULL, 0},
};

const struct token_algorithm *token_algorithm_find(const char *name)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
    }
    return NULL;
}

bool token_key_fits(const struct token_key *key, const struct token_algorithm *algorithm)
{
    return key->kind == algorithm->kind && (!key->algorithm || key->algorithm == algorithm);
}

static bool verify_secret(const struct token_key *key, const struct token_algorithm *algorithm,
                          struct text text, const unsigned char *signature, size_t signature_size)
{
    unsigned char expected[EVP_MAX_MD_SIZE];
    unsigned size = sizeof(expected);

    if (!HMAC(algorithm->digest(), key->secret, (int)key->secret_size,
              (const unsigned char *)text.data, text.size, expected, &size))
        abort(); /* memory, which never fails here */

    bool is_ours = signature_size == size && CRYPTO_memcmp(expected, signature, size) == 0;

    OPENSSL_cleanse(expected, sizeof(expected));
    return is_ours;
}

static bool verify_digest(const struct token_key *key, const struct token_algorithm *algorithm,
                          struct text text, const unsigned char *signature, size_t signature_size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = algorithm->digest ? algorithm->digest() : NULL;
    bool is_ours = EVP_DigestVerifyInit(context, NULL, digest, NULL, key->public_key) == 1 &&
                   EVP_DigestVerify(context, signature, signature_size,
                                    (const unsigned char *)text.data, text.size) == 1;

    EVP_MD_CTX_free(context);
    return is_ours;
}

/* RFC 7518 §3.4: R and S of fixed size, where OpenSSL reads ASN.1. */
static bool verify_halves(const struct token_key *key, const struct token_algorithm *algorithm,
                          struct text text, const unsigned char *signature, size_t signature_size)
{
    int half = (int)algorithm->half_bytes;
    unsigned char *encoded = NULL;

    if (signature_size != 2 * algorithm->half_bytes)
        return false;

    ECDSA_SIG *pair = ECDSA_SIG_new();

    if (!pair || !ECDSA_SIG_set0(pair, BN_bin2bn(signature, half, NULL),
                                 BN_bin2bn(signature + half, half, NULL)))
        abort(); /* memory, which never fails here */

    int encoded_size = i2d_ECDSA_SIG(pair, &encoded);

    ECDSA_SIG_free(pair);

    bool is_ours =
        encoded_size > 0 && verify_digest(key, algorithm, text, encoded, (size_t)encoded_size);

    OPENSSL_free(encoded);
    return is_ours;
}

bool token_key_verify(const struct token_key *key, const struct token_algorithm *algorithm,
                      struct text text, const unsigned char *signature, size_t signature_size)
{
    bool is_ours;

    assert(token_key_fits(key, algorithm));
    ERR_set_mark();
    if (algorithm->kind == TOKEN_KEY_SECRET)
        is_ours = verify_secret(key, algorithm, text, signature, signature_size);
    else if (algorithm->half_bytes > 0)
        is_ours = verify_halves(key, algorithm, text, signature, signature_size);
    else
        is_ours = verify_digest(key, algorithm, text, signature, signature_size);
    ERR_pop_to_mark();
    return is_ours;
}

static const char *classify_rsa(const EVP_PKEY *public_key, enum token_key_kind *kind)
{
    int bits = EVP_PKEY_get_bits(public_key);

    *kind = TOKEN_KEY_RSA;
    if (bits < TOKEN_RSA_LEAST_BITS)
        return "an RSA key of less than 2048 bits";
    if (bits > TOKEN_RSA_MOST_BITS)
        return "an RSA key of more than 8192 bits";
    return NULL;
}

static const char *classify_curve(const EVP_PKEY *public_key, enum token_key_kind *kind)
{
    char name[64];
    size_t size;

    if (!EVP_PKEY_get_group_name(public_key, name, sizeof(name), &size))
        return "a curve without a name";
    switch (OBJ_txt2nid(name)) {
    case NID_X9_62_prime256v1:
        *kind = TOKEN_KEY_P256;
        return NULL;
    case NID_secp384r1:
        *kind = TOKEN_KEY_P384;
        return NULL;
    case NID_secp521r1:
        *kind = TOKEN_KEY_P521;
        return NULL;
    default:
        return "a curve other than P-256, P-384 and P-521";
    }
}

/* On its curve; an RSA exponent that is none (with 1, anybody could sign). */
static bool is_sound(EVP_PKEY *public_key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, public_key, NULL);
    bool is_sound = context && EVP_PKEY_public_check(context) == 1;

    EVP_PKEY_CTX_free(context);
    return is_sound;
}

/*
 * The points of Ed25519 whose order divides 8, by their y, little-endian, of which two are not
 * reduced (RFC 8032 §5.1.3). A public key is none of them but by somebody's will: under one of
 * these anybody can sign, one text of eight or all, and OpenSSL's own check lets them pass.
 */
static bool is_of_small_order(const EVP_PKEY *public_key)
{
#define THIRTY_OF(byte)                                                                            \
    byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte,      \
        byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte
    static const unsigned char points[][32] = {
        {0},
        {1},
        {0xec, THIRTY_OF(0xff), 0x7f},
        {0xed, THIRTY_OF(0xff), 0x7f},
        {0xee, THIRTY_OF(0xff), 0x7f},
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
         0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
         0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
         0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
         0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    };
#undef THIRTY_OF
    unsigned char point[32];
    size_t size = sizeof(point);

    if (EVP_PKEY_get_raw_public_key(public_key, point, &size) != 1 || size != sizeof(point))
        return true;
    point[31] &= 0x7f; /* the sign of x */
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        if (memcmp(point, points[i], sizeof(point)) == 0)
            return true;
    }
    return false;
}

const char *token_key_classify(EVP_PKEY *public_key, enum token_key_kind *kind)
{
    const char *problem = NULL;

    switch (EVP_PKEY_get_base_id(public_key)) {
    case EVP_PKEY_RSA:
        problem = classify_rsa(public_key, kind);
        break;
    case EVP_PKEY_EC:
        problem = classify_curve(public_key, kind);
        break;
    case EVP_PKEY_ED25519:
        *kind = TOKEN_KEY_ED25519;
        return is_of_small_order(public_key) ? "not a sound key" : NULL;
    default:
        return "neither RSA nor EC nor Ed25519";
    }
    if (!problem && !is_sound(public_key))
        problem = "not a sound key";
    return problem;
}

void token_key_deinit(struct token_key *key)
{
    EVP_PKEY_free(key->public_key);
    if (key->secret)
        OPENSSL_cleanse(key->secret, key->secret_size);
    memory_free(key->secret);
    memory_free(key->id);
}
