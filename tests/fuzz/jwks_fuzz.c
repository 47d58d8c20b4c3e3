/*
 * Key sets: the input is a file of them. What is taken are keys that signatures can be checked
 * with, none of them weak, and each of one kind; what is refused has one line that says why. The
 * same file gives the same keys.
 */
#include <assert.h>
#include <openssl/err.h>
#include <string.h>
#include <uv.h>

#include "gateway/token_keys.h"
#include "memory_file.h"

static const char *const algorithms[] = {
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA",
};

static void check_strength(const struct token_key *key)
{
    int bits = key->public_key ? EVP_PKEY_get_bits(key->public_key) : 0;

    switch (key->kind) {
    case TOKEN_KEY_SECRET:
        assert(!key->public_key && key->secret_size >= TOKEN_SECRET_LEAST_BYTES);
        return;
    case TOKEN_KEY_RSA:
        assert(bits >= TOKEN_RSA_LEAST_BITS && bits <= TOKEN_RSA_MOST_BITS);
        break;
    case TOKEN_KEY_P256:
        assert(bits == 256);
        break;
    case TOKEN_KEY_P384:
        assert(bits == 384);
        break;
    case TOKEN_KEY_P521:
        assert(bits == 521);
        break;
    case TOKEN_KEY_ED25519:
        assert(EVP_PKEY_get_base_id(key->public_key) == EVP_PKEY_ED25519);
        break;
    }
    assert(!key->secret);
}

/* A signature of zeros, in the size that the algorithm may have. */
static bool takes_zeros(const struct token_key *key, const struct token_algorithm *algorithm)
{
    static const unsigned char zeros[TOKEN_RSA_MOST_BITS / 8];
    size_t size = 64;

    if (algorithm->half_bytes > 0)
        size = 2 * algorithm->half_bytes;
    else if (algorithm->kind == TOKEN_KEY_RSA)
        size = (size_t)EVP_PKEY_get_size(key->public_key);
    else if (algorithm->kind == TOKEN_KEY_SECRET)
        size = (size_t)EVP_MD_get_size(algorithm->digest());
    return token_key_verify(key, algorithm, text_of("header.payload"), zeros, size);
}

/* Of Ed25519, R is the neutral point and S is 0: with a key of small order that signs one text of
 * eight, or all. */
static bool takes_nothing(const struct token_key *key, const struct token_algorithm *algorithm)
{
    static const unsigned char nothing[64] = {1};
    static const char texts[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    for (size_t i = 0; i + 1 < sizeof(texts); i++) {
        if (token_key_verify(key, algorithm, text_of(texts + i), nothing, sizeof(nothing)))
            return true;
    }
    return false;
}

/* It is for one of the algorithms at least, and none of them takes a signature that is none. */
static void check_use(const struct token_key *key)
{
    size_t fitting = 0;

    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        const struct token_algorithm *algorithm = token_algorithm_find(algorithms[i]);

        if (!token_key_fits(key, algorithm))
            continue;
        fitting++;
        assert(!takes_zeros(key, algorithm));
        if (key->kind == TOKEN_KEY_ED25519)
            assert(!takes_nothing(key, algorithm));
    }
    assert(fitting > 0 && (!key->algorithm || fitting == 1));
}

static void check_same(const struct token_key *one, const struct token_key *other)
{
    assert(one->kind == other->kind && one->algorithm == other->algorithm);
    assert(!one->id == !other->id && (!one->id || strcmp(one->id, other->id) == 0));
    assert(one->secret_size == other->secret_size);
    assert(one->secret_size == 0 || memcmp(one->secret, other->secret, one->secret_size) == 0);
    assert(!one->public_key || EVP_PKEY_eq(one->public_key, other->public_key) == 1);
}

static int add(struct token_keys *keys, const char *path)
{
    char error[TOKEN_KEYS_ERROR] = "";
    int result = token_keys_add_jwks(keys, path, error);

    assert(result == 0 || result == UV_EINVAL);
    assert((result == 0) == (error[0] == '\0'));
    assert(strlen(error) < TOKEN_KEYS_ERROR && !strchr(error, '\n'));
    assert(keys->count <= TOKEN_KEYS_LIMIT && (result != 0 || keys->count > 0));
    assert(ERR_peek_error() == 0);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory_file file;
    struct token_keys keys = {0};
    struct token_keys again = {0};
    int result;

    if (file.path[0] == '\0')
        memory_file_create(&file);
    memory_file_write(&file, data, size);
    result = add(&keys, file.path);
    assert(add(&again, file.path) == result && again.count == keys.count);
    for (size_t i = 0; i < keys.count; i++) {
        check_strength(&keys.keys[i]);
        check_use(&keys.keys[i]);
        check_same(&keys.keys[i], &again.keys[i]);
    }
    token_keys_deinit(&keys);
    token_keys_deinit(&again);
    return 0;
}
