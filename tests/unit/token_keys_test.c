#include "token_fixture.h"

/* Key files: which are taken, which refused and in what words, and which key a token is verified
 * with. */

static const char ours[] = "{\"sub\":\"ann\"}";

static const char other_secret[] = "another secret that is long enough";

static const struct signer other = {"HS256", EVP_sha256, NULL, other_secret, 0};

/* A set of the keys that are given, NULL last. */
static const char *write_set(const char *first, const char *second, const char *third)
{
    static char text[8192];

    snprintf(text, sizeof(text), "{\"keys\":[%s%s%s%s%s]}", first ? first : "", second ? "," : "",
             second ? second : "", third ? "," : "", third ? third : "");
    return write_file("keys.jwks", text);
}

static void expect_refused(const struct token_options *options, const char *file,
                           const char *problem)
{
    struct token_verifier *verifier;
    char error[256] = "";
    char expected[256];

    assert_int_equal(token_verifier_create(&verifier, options, error), UV_EINVAL);
    snprintf(expected, sizeof(expected), "token keys in %s: %s", in_directory(file), problem);
    assert_string_equal(error, expected);
    assert_int_equal(ERR_peek_error(), 0);
}

static void expect_set_refused(const char *jwk, const char *problem)
{
    expect_refused(&(struct token_options){.jwks_file = write_set(jwk, NULL, NULL)}, "keys.jwks",
                   problem);
}

static void expect_secrets_refused(const char *text, const char *problem)
{
    expect_refused(&(struct token_options){.hmac_secret_file = write_file("secret", text)},
                   "secret", problem);
}

/* Signed by `signer` with that header; the problem is NULL where it is valid. */
static void expect_token(const struct token_verifier *verifier, const struct signer *signer,
                         const char *header, const char *problem)
{
    char *token = make_token_with(signer, header, ours);

    if (problem)
        expect_invalid(verifier, token, problem);
    else
        expect_valid(verifier, token);
    memory_free(token);
}

static void verifier_may_have_no_keys(void **state)
{
    struct token_verifier *verifier;
    char error[256];

    (void)state;
    assert_int_equal(
        token_verifier_create(&verifier, &(struct token_options){.hmac_secret_file = ""}, error),
        0);
    assert_false(token_verifier_has_keys(verifier));
    expect_token(verifier, &hs256, "{\"alg\":\"HS256\"}", "there is no key for its kid and alg");
    token_verifier_destroy(verifier);
    token_verifier_destroy(NULL);
}

static void each_line_is_a_secret(void **state)
{
    static const char *const files[] = {
        SECRET "\nanother secret that is long enough",
        "another secret that is long enough\n" SECRET "\n",
        SECRET "\r\nanother secret that is long enough\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct token_verifier *verifier = make_verifier(
            &(struct token_options){.hmac_secret_file = write_file("secret", files[i])});

        expect_token(verifier, &hs256, "{\"alg\":\"HS256\"}", NULL);
        expect_token(verifier, &other, "{\"alg\":\"HS256\"}", NULL);
        token_verifier_destroy(verifier);
    }
}

static void weak_or_wrong_secrets_are_refused(void **state)
{
    char pem[4096];
    size_t size;
    FILE *file = fopen(write_public_key("rsa.pem", rsa), "re");

    (void)state;
    expect_secrets_refused("", "empty");
    expect_secrets_refused("\n", "key 1: a secret of less than 32 bytes");
    expect_secrets_refused("0123456789abcdef0123456789abcde\n",
                           "key 1: a secret of less than 32 bytes");
    expect_secrets_refused(SECRET "\n\n", "key 2: a secret of less than 32 bytes");
    assert_non_null(file);
    size = fread(pem, 1, sizeof(pem) - 1, file);
    pem[size] = '\0';
    fclose(file);
    expect_secrets_refused(pem, "key 1: PEM, which is no shared secret");
}

static void files_are_bounded(void **state)
{
    size_t size = (size_t)1024 * 1024 + 1;
    char *text = memory_allocate(size + 1);

    (void)state;
    memset(text, 'x', size);
    text[size] = '\0';
    expect_secrets_refused(text, "larger than 1 MB");
    text[0] = '\0';
    for (size_t i = 0; i < 65; i++)
        memcpy(text + 33 * i, SECRET "\n", 34);
    expect_secrets_refused(text, "key 65: more than 64 keys");
    memory_free(text);
}

static void file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    expect_refused(&(struct token_options){.hmac_secret_file = in_directory("none")}, "none",
                   "no such file or directory");
    expect_refused(&(struct token_options){.rsa_public_key = in_directory("none")}, "none",
                   "no such file or directory");
    expect_refused(&(struct token_options){.jwks_file = in_directory(".")}, ".",
                   "illegal operation on a directory");
}

static void leeway_is_bounded(void **state)
{
    struct token_verifier *verifier;
    char error[256];

    (void)state;
    assert_int_equal(
        token_verifier_create(&verifier, &(struct token_options){.leeway_s = UINT64_MAX}, error),
        UV_EINVAL);
    assert_string_equal(error, "the leeway of tokens is more than a day");
}

static void pem_is_public_and_of_its_family(void **state)
{
    EVP_PKEY *weak = EVP_RSA_gen(1024);
    EVP_PKEY *curve = EVP_EC_gen("secp256k1");
    EVP_PKEY *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    const char *path = in_directory("key.pem");

    (void)state;
    write_public_key("key.pem", weak);
    expect_refused(&(struct token_options){.rsa_public_key = path}, "key.pem",
                   "key 1: an RSA key of less than 2048 bits");
    write_public_key("key.pem", curve);
    expect_refused(&(struct token_options){.ecdsa_public_key = path}, "key.pem",
                   "key 1: a curve other than P-256, P-384 and P-521");
    write_public_key("key.pem", x25519);
    expect_refused(&(struct token_options){.eddsa_public_key = path}, "key.pem",
                   "key 1: neither RSA nor EC nor Ed25519");
    write_public_key("key.pem", p256);
    expect_refused(&(struct token_options){.rsa_public_key = path}, "key.pem",
                   "key 1: a key of another kind than this file is for");
    write_pem(path, NULL, rsa);
    expect_refused(&(struct token_options){.rsa_public_key = path}, "key.pem",
                   "key 1: a private key, where the public one alone belongs");
    write_text(path, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    expect_refused(&(struct token_options){.rsa_public_key = path}, "key.pem",
                   "key 1: expected a block PUBLIC KEY");
    write_text(path, "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n");
    expect_refused(&(struct token_options){.rsa_public_key = path}, "key.pem",
                   "key 1: a block that is no key");
    write_text(path, "-----BEGIN PUBLIC KEY-----\n????\n-----END PUBLIC KEY-----\n");
    expect_refused(&(struct token_options){.rsa_public_key = path}, "key.pem",
                   "key 1: not well-formed PEM");
    write_text(path, "nothing\n");
    expect_refused(&(struct token_options){.rsa_public_key = path}, "key.pem", "no PEM in it");
    EVP_PKEY_free(weak);
    EVP_PKEY_free(curve);
    EVP_PKEY_free(x25519);
}

static void kid_chooses_the_key(void **state)
{
    const struct signer a = {"RS256", EVP_sha256, rsa, NULL, 0};
    const struct signer b = {"ES256", EVP_sha256, p256, NULL, 32};
    struct token_verifier *verifier = make_verifier(&(struct token_options){
        .jwks_file = write_set(make_jwk(rsa, "\"kid\":\"a\""), make_jwk(p256, "\"kid\":\"b\""),
                               make_jwk(p384, "\"kid\":\"c\""))});

    (void)state;
    expect_token(verifier, &a, "{\"alg\":\"RS256\",\"kid\":\"a\"}", NULL);
    expect_token(verifier, &b, "{\"alg\":\"ES256\",\"kid\":\"b\"}", NULL);
    expect_token(verifier, &a, "{\"alg\":\"RS256\"}", NULL);
    expect_token(verifier, &b, "{\"alg\":\"ES256\"}", NULL);
    expect_token(verifier, &a, "{\"alg\":\"RS256\",\"kid\":\"b\"}",
                 "there is no key for its kid and alg");
    expect_token(verifier, &a, "{\"alg\":\"RS256\",\"kid\":\"A\"}",
                 "there is no key for its kid and alg");
    expect_token(verifier, &a, "{\"alg\":\"RS256\",\"kid\":\"\"}",
                 "there is no key for its kid and alg");
    token_verifier_destroy(verifier);
}

/* A library that names its key always, and keys of a file, which have no names. */
static void kid_that_is_unknown_means_keys_without_one(void **state)
{
    const struct signer a = {"RS256", EVP_sha256, rsa, NULL, 0};
    struct token_verifier *verifier = make_verifier(&(struct token_options){
        .hmac_secret_file = write_file("secret", SECRET),
        .jwks_file = write_set(make_jwk(rsa, "\"kid\":\"a\""), NULL, NULL)});

    (void)state;
    expect_token(verifier, &hs256, "{\"alg\":\"HS256\",\"kid\":\"2024\"}", NULL);
    expect_token(verifier, &hs256, "{\"alg\":\"HS256\",\"kid\":\"a\"}",
                 "there is no key for its kid and alg");
    expect_token(verifier, &a, "{\"alg\":\"RS256\",\"kid\":\"2024\"}",
                 "there is no key for its kid and alg");
    token_verifier_destroy(verifier);
}

static void key_is_replaced_by_and_by(void **state)
{
    EVP_PKEY *next = EVP_EC_gen("P-256");
    const struct signer old = {"ES256", EVP_sha256, p256, NULL, 32};
    const struct signer new = {"ES256", EVP_sha256, next, NULL, 32};
    struct token_verifier *both = make_verifier(
        &(struct token_options){.jwks_file = write_set(make_jwk(p256, "\"kid\":\"1\""),
                                                       make_jwk(next, "\"kid\":\"2\""), NULL)});
    struct token_verifier *after = make_verifier(&(struct token_options){
        .jwks_file = write_set(make_jwk(next, "\"kid\":\"2\""), NULL, NULL)});

    (void)state;
    expect_token(both, &old, "{\"alg\":\"ES256\",\"kid\":\"1\"}", NULL);
    expect_token(both, &new, "{\"alg\":\"ES256\",\"kid\":\"2\"}", NULL);
    expect_token(both, &old, "{\"alg\":\"ES256\",\"kid\":\"2\"}",
                 "its signature is by none of the keys");
    expect_token(both, &new, "{\"alg\":\"ES256\"}", NULL);
    expect_token(after, &old, "{\"alg\":\"ES256\",\"kid\":\"1\"}",
                 "there is no key for its kid and alg");
    expect_token(after, &new, "{\"alg\":\"ES256\",\"kid\":\"2\"}", NULL);
    token_verifier_destroy(both);
    token_verifier_destroy(after);
    EVP_PKEY_free(next);
}

static void sixteen_keys_are_tried(void **state)
{
    char text[33 * 17 + 1] = "";

    (void)state;
    for (size_t i = 0; i < 16; i++)
        snprintf(text + 33 * i, sizeof(text) - 33 * i, "%032zu\n", i);
    snprintf(text + (size_t)33 * 16, sizeof(text) - (size_t)33 * 16, SECRET);

    struct token_verifier *behind =
        make_verifier(&(struct token_options){.hmac_secret_file = write_file("secret", text)});
    struct token_verifier *within =
        make_verifier(&(struct token_options){.hmac_secret_file = write_file("secret", text + 33)});

    expect_token(behind, &hs256, "{\"alg\":\"HS256\"}", "its signature is by none of the keys");
    expect_token(within, &hs256, "{\"alg\":\"HS256\"}", NULL);
    token_verifier_destroy(behind);
    token_verifier_destroy(within);
}

static void key_is_used_for_what_it_says(void **state)
{
    const struct signer rs256 = {"RS256", EVP_sha256, rsa, NULL, 0};
    const struct signer rs512 = {"RS512", EVP_sha512, rsa, NULL, 0};
    const struct signer es256 = {"ES256", EVP_sha256, p256, NULL, 32};
    static const char *const idle[] = {"\"use\":\"enc\"",        "\"use\":1",
                                       "\"key_ops\":[\"sign\"]", "\"key_ops\":[]",
                                       "\"key_ops\":\"verify\"", "\"alg\":\"RSA-OAEP\"",
                                       "\"alg\":\"PS256\""};
    struct token_verifier *verifier = make_verifier(&(struct token_options){
        .jwks_file =
            write_set(make_jwk(rsa, "\"alg\":\"RS512\",\"use\":\"sig\""),
                      make_jwk(p256, "\"key_ops\":[\"sign\",\"verify\"],\"x5t\":1"), NULL)});

    (void)state;
    expect_token(verifier, &rs512, "{\"alg\":\"RS512\"}", NULL);
    expect_token(verifier, &rs256, "{\"alg\":\"RS256\"}", "there is no key for its kid and alg");
    expect_token(verifier, &es256, "{\"alg\":\"ES256\"}", NULL);
    token_verifier_destroy(verifier);
    for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
        expect_set_refused(make_jwk(rsa, idle[i]), "no key in it that verifies signatures");
        verifier = make_verifier(&(struct token_options){
            .jwks_file = write_set(make_jwk(rsa, idle[i]), make_jwk(p256, "\"kid\":\"b\""), NULL)});
        expect_token(verifier, &rs256, "{\"alg\":\"RS256\"}",
                     "there is no key for its kid and alg");
        expect_token(verifier, &es256, "{\"alg\":\"ES256\"}", NULL);
        token_verifier_destroy(verifier);
    }
}

static void keys_of_unknown_kinds_are_passed_over(void **state)
{
    const struct signer es256 = {"ES256", EVP_sha256, p256, NULL, 32};
    struct token_verifier *verifier = make_verifier(&(struct token_options){
        .jwks_file = write_set("{\"kty\":\"AKP\"}", "{\"kty\":\"OKP\",\"crv\":\"X25519\"}",
                               make_jwk(p256, "\"kid\":\"b\""))});

    (void)state;
    expect_token(verifier, &es256, "{\"alg\":\"ES256\"}", NULL);
    token_verifier_destroy(verifier);
    expect_set_refused("{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"\",\"y\":\"\"}",
                       "no key in it that verifies signatures");
}

static void key_that_is_broken_is_refused(void **state)
{
    EVP_PKEY *weak = EVP_RSA_gen(1024);
    char even[2048];

    (void)state;
    expect_set_refused("1", "key 1: no object with a kty");
    expect_set_refused("{}", "key 1: no object with a kty");
    expect_set_refused("{\"kty\":\"oct\",\"kid\":1}", "key 1: its kid is not a string");
    expect_set_refused("{\"kty\":\"oct\"}", "key 1: its k is not base64url");
    expect_set_refused("{\"kty\":\"oct\",\"k\":\"MDEyMw==\"}", "key 1: its k is not base64url");
    expect_set_refused("{\"kty\":\"oct\",\"k\":\"MDEyMw\"}",
                       "key 1: a secret of less than 32 bytes");
    expect_set_refused("{\"kty\":\"RSA\",\"n\":\"AQ\"}", "key 1: its n or e is not base64url");
    expect_set_refused("{\"kty\":\"RSA\",\"n\":\"?\",\"e\":\"AQAB\"}",
                       "key 1: its n or e is not base64url");
    expect_set_refused(make_jwk(weak, "\"use\":\"sig\""),
                       "key 1: an RSA key of less than 2048 bits");
    expect_set_refused("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\"}",
                       "key 1: its x or y is not base64url of the curve's size");
    expect_set_refused("{\"kty\":\"EC\",\"crv\":\"P-256\","
                       "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                       "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}",
                       "key 1: not on its curve");
    expect_set_refused("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQ\"}",
                       "key 1: its x is not base64url of 32 bytes");
    expect_set_refused(make_jwk(rsa, "\"alg\":\"HS256\""),
                       "key 1: its alg does not go with its kty");
    expect_set_refused(make_jwk(p256, "\"alg\":\"ES384\""),
                       "key 1: its alg does not go with its kty");
    /* Whatever is signed with the exponent 1 is its own signature. */
    snprintf(even, sizeof(even), "%s", make_jwk(rsa, "\"use\":\"sig\""));
    memcpy(strstr(even, "\"AQAB\""), "\"AQ\"}", sizeof("\"AQ\"}"));
    expect_set_refused(even, "key 1: not a sound key");
    EVP_PKEY_free(weak);
}

/* The neutral point and those that are it after a few steps, with either sign: each is a key under
 * which R = 1, S = 0 signs every text, or every eighth. */
static void key_of_small_order_is_refused(void **state)
{
    static const char *const points[] = {
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
        "7P_______________________________________38",
        "7f_______________________________________38",
        "7v________________________________________8",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
    };
    char jwk[128];

    (void)state;
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        snprintf(jwk, sizeof(jwk), "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", points[i]);
        expect_set_refused(jwk, "key 1: not a sound key");
    }
}

static void set_that_is_none_is_refused(void **state)
{
    static const char *const texts[][2] = {
        {"", "empty"},
        {"{", "no JSON object, or one with a key twice"},
        {"[]", "no JSON object, or one with a key twice"},
        {"{\"keys\":[],\"keys\":[]}", "no JSON object, or one with a key twice"},
        {"{\"kty\":\"oct\"}", "no array keys (RFC 7517)"},
        {"{\"keys\":{}}", "no array keys (RFC 7517)"},
        {"{\"keys\":[]}", "no key in it that verifies signatures"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect_refused(&(struct token_options){.jwks_file = write_file("keys.jwks", texts[i][0])},
                       "keys.jwks", texts[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifier_may_have_no_keys),
        cmocka_unit_test(each_line_is_a_secret),
        cmocka_unit_test(weak_or_wrong_secrets_are_refused),
        cmocka_unit_test(files_are_bounded),
        cmocka_unit_test(file_that_cannot_be_read_is_named),
        cmocka_unit_test(leeway_is_bounded),
        cmocka_unit_test(pem_is_public_and_of_its_family),
        cmocka_unit_test(kid_chooses_the_key),
        cmocka_unit_test(kid_that_is_unknown_means_keys_without_one),
        cmocka_unit_test(key_is_replaced_by_and_by),
        cmocka_unit_test(sixteen_keys_are_tried),
        cmocka_unit_test(key_is_used_for_what_it_says),
        cmocka_unit_test(keys_of_unknown_kinds_are_passed_over),
        cmocka_unit_test(key_that_is_broken_is_refused),
        cmocka_unit_test(key_of_small_order_is_refused),
        cmocka_unit_test(set_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
