/* Section numbers are those of RFC 7517 (key sets), RFC 7518 §6 (the keys) and RFC 8037 §2. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

#include "common/base64.h"
#include "common/memory.h"
#include "gateway/token_json.h"
#include "gateway/token_keys.h"

#define COORDINATE_LIMIT 66

struct bytes {
    unsigned char *data;
    size_t size;
};

/* What a member of base64url says, which the caller frees; false: there is none. */
static bool read_bytes(const json_t *jwk, const char *name, struct bytes *bytes)
{
    const json_t *value = json_object_get(jwk, name);
    size_t size = json_string_length(value);

    *bytes = (struct bytes){0};
    if (!json_is_string(value) || size == 0)
        return false;
    bytes->data = memory_allocate(BASE64_DECODED_LIMIT(size));
    if (base64_decode(BASE64_URL, json_string_value(value), size, bytes->data, &bytes->size)) {
        memory_free(bytes->data);
        *bytes = (struct bytes){0};
        return false;
    }
    return true;
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY *key = NULL;

    if (EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
    OSSL_PARAM_free(parameters);
    EVP_PKEY_CTX_free(context);
    return key;
}

/* RFC 7518 §6.4.1 */
static const char *read_secret(const json_t *jwk, struct token_key *key)
{
    struct bytes secret;

    if (!read_bytes(jwk, "k", &secret))
        return "its k is not base64url";
    key->secret = secret.data;
    key->secret_size = secret.size;
    return token_keys_check_secret((struct text){(const char *)secret.data, secret.size});
}

/* RFC 7518 §6.3.1 */
static const char *read_rsa(const json_t *jwk, struct token_key *key)
{
    struct bytes modulus;
    struct bytes exponent;
    bool is_read = read_bytes(jwk, "n", &modulus);

    is_read = read_bytes(jwk, "e", &exponent) && is_read;
    if (is_read) {
        OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        BIGNUM *n = BN_bin2bn(modulus.data, (int)modulus.size, NULL);
        BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.size, NULL);

        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
        key->public_key = make_key("RSA", builder);
        OSSL_PARAM_BLD_free(builder);
        BN_free(n);
        BN_free(e);
    }
    memory_free(modulus.data);
    memory_free(exponent.data);
    if (!is_read)
        return "its n or e is not base64url";
    return key->public_key ? token_key_classify(key->public_key, &key->kind) : "not a sound key";
}

static EVP_PKEY *make_point(const char *type, const char *group, const unsigned char *point,
                            size_t size)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();

    if (group)
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, size);

    EVP_PKEY *key = make_key(type, builder);

    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* RFC 7518 §6.2.1: both coordinates in full size. */
static const char *read_curve(const json_t *jwk, const char *curve, size_t size,
                              struct token_key *key)
{
    unsigned char point[1 + 2 * COORDINATE_LIMIT] = {POINT_CONVERSION_UNCOMPRESSED};
    struct bytes x;
    struct bytes y;
    bool is_read = read_bytes(jwk, "x", &x) && x.size == size;

    is_read = read_bytes(jwk, "y", &y) && y.size == size && is_read;
    if (is_read) {
        memcpy(point + 1, x.data, size);
        memcpy(point + 1 + size, y.data, size);
        key->public_key = make_point("EC", curve, point, 1 + 2 * size);
    }
    memory_free(x.data);
    memory_free(y.data);
    if (!is_read)
        return "its x or y is not base64url of the curve's size";
    return key->public_key ? token_key_classify(key->public_key, &key->kind) : "not on its curve";
}

/* RFC 8037 §2 */
static const char *read_ed25519(const json_t *jwk, struct token_key *key)
{
    struct bytes x;
    bool is_read = read_bytes(jwk, "x", &x);

    if (is_read)
        key->public_key = make_point("ED25519", NULL, x.data, x.size);
    memory_free(x.data);
    return key->public_key ? token_key_classify(key->public_key, &key->kind)
                           : "its x is not base64url of 32 bytes";
}

/* A string member, or "" where it is none. */
static const char *text_member(const json_t *jwk, const char *name)
{
    const char *text = json_string_value(json_object_get(jwk, name));

    return text ? text : "";
}

/* Reads the key itself; `is_known` turns false for one of a kind that is passed over. */
static const char *read_material(const json_t *jwk, struct token_key *key, bool *is_known)
{
    const char *type = text_member(jwk, "kty");
    const char *curve = text_member(jwk, "crv");
    bool is_curve = strcmp(type, "EC") == 0;

    *is_known = true;
    if (strcmp(type, "oct") == 0)
        return read_secret(jwk, key);
    if (strcmp(type, "RSA") == 0)
        return read_rsa(jwk, key);
    if (is_curve && strcmp(curve, "P-256") == 0)
        return read_curve(jwk, curve, 32, key);
    if (is_curve && strcmp(curve, "P-384") == 0)
        return read_curve(jwk, curve, 48, key);
    if (is_curve && strcmp(curve, "P-521") == 0)
        return read_curve(jwk, curve, 66, key);
    if (strcmp(type, "OKP") == 0 && strcmp(curve, "Ed25519") == 0)
        return read_ed25519(jwk, key);
    *is_known = false;
    return NULL;
}

/* RFC 7517 §4.2, §4.3; what is no text there is for nothing that we know. */
static bool is_for_verifying(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use");
    const json_t *operations = json_object_get(jwk, "key_ops");
    bool is_listed = !operations;
    size_t index;
    const json_t *operation;

    json_array_foreach(operations, index, operation)
    {
        if (strcmp(json_is_string(operation) ? json_string_value(operation) : "", "verify") == 0)
            is_listed = true;
    }
    return is_listed && (!use || strcmp(text_member(jwk, "use"), "sig") == 0);
}

/* NULL for what is added or passed over, or what is wrong. */
static const char *add_key(struct token_keys *keys, const json_t *jwk)
{
    struct token_key key = {0};
    const json_t *id = json_object_get(jwk, "kid");
    const json_t *algorithm = json_object_get(jwk, "alg");
    bool is_known = false;

    if (!json_is_object(jwk) || !json_is_string(json_object_get(jwk, "kty")))
        return "no object with a kty";
    if (id && !json_is_string(id))
        return "its kid is not a string";
    if (!is_for_verifying(jwk))
        return NULL;
    if (algorithm) {
        key.algorithm = token_algorithm_find(text_member(jwk, "alg"));
        if (!key.algorithm)
            return NULL;
    }

    const char *problem = read_material(jwk, &key, &is_known);

    if (!problem && is_known && key.algorithm && !token_key_fits(&key, key.algorithm))
        problem = "its alg does not go with its kty";
    if (problem || !is_known) {
        token_key_deinit(&key);
        return problem;
    }
    if (id)
        key.id = memory_copy_text(json_string_value(id), json_string_length(id));
    return token_keys_add(keys, &key);
}

static int add_set(struct token_keys *keys, const char *path, const json_t *set,
                   char error[TOKEN_KEYS_ERROR])
{
    const json_t *list = json_object_get(set, "keys");
    size_t before = keys->count;
    size_t index;
    const json_t *jwk;

    if (!set)
        return token_keys_refuse(error, path, 0, "no JSON object, or one with a key twice");
    if (!json_is_array(list))
        return token_keys_refuse(error, path, 0, "no array keys (RFC 7517)");
    json_array_foreach(list, index, jwk)
    {
        const char *problem = add_key(keys, jwk);

        if (problem)
            return token_keys_refuse(error, path, index + 1, problem);
    }
    if (keys->count == before)
        return token_keys_refuse(error, path, 0, "no key in it that verifies signatures");
    return 0;
}

int token_keys_add_jwks(struct token_keys *keys, const char *path, char error[TOKEN_KEYS_ERROR])
{
    struct buffer content = {0};
    int result = token_keys_read(path, &content, error);

    if (!result) {
        json_t *set = token_json_parse((const char *)content.data, content.size);

        ERR_set_mark();
        result = add_set(keys, path, set, error);
        ERR_pop_to_mark();
        json_decref(set);
    }
    token_keys_forget(&content);
    return result;
}
