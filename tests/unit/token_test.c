#include "token_fixture.h"

/* Signatures: who may sign, and what is refused before a claim is looked at. */

static const char ours[] = "{\"sub\":\"ann\"}";

static struct token_verifier *make_full_verifier(void)
{
    return make_verifier(&(struct token_options){
        .hmac_secret_file = write_file("secret", SECRET "\n"),
        .rsa_public_key = write_public_key("rsa.pem", rsa),
        .ecdsa_public_key = write_public_key("p256.pem", p256),
        .eddsa_public_key = write_public_key("ed25519.pem", ed25519),
    });
}

/* The three curves cannot be one block. */
static const char *write_curves(void)
{
    const char *path = in_directory("curves.pem");
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    PEM_write_PUBKEY(file, p256);
    PEM_write_PUBKEY(file, p384);
    PEM_write_PUBKEY(file, p521);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void each_algorithm_is_valid_and_no_other_signature(void **state)
{
    const struct signer signers[] = {
        hs256,
        {"HS384", EVP_sha384, NULL, SECRET, 0},
        {"HS512", EVP_sha512, NULL, SECRET, 0},
        {"RS256", EVP_sha256, rsa, NULL, 0},
        {"RS384", EVP_sha384, rsa, NULL, 0},
        {"RS512", EVP_sha512, rsa, NULL, 0},
        {"ES256", EVP_sha256, p256, NULL, 32},
        {"ES384", EVP_sha384, p384, NULL, 48},
        {"ES512", EVP_sha512, p521, NULL, 66},
        {"EdDSA", NULL, ed25519, NULL, 0},
    };
    struct token_verifier *verifier = make_verifier(&(struct token_options){
        .hmac_secret_file = write_file("secret", SECRET),
        .rsa_public_key = write_public_key("rsa.pem", rsa),
        .ecdsa_public_key = write_curves(),
        .eddsa_public_key = write_public_key("ed25519.pem", ed25519),
    });

    (void)state;
    for (size_t i = 0; i < sizeof(signers) / sizeof(signers[0]); i++) {
        char *token = make_token(&signers[i], ours);
        char *forged = make_token(&signers[i], "{\"sub\":\"bob\"}");

        expect_valid(verifier, token);
        /* The signature of one on the other. */
        memcpy(strrchr(forged, '.'), strrchr(token, '.'), strlen(strrchr(token, '.')));
        expect_invalid(verifier, forged, "its signature is by none of the keys");
        memory_free(token);
        memory_free(forged);
    }
    token_verifier_destroy(verifier);
}

static void token_without_a_signature_is_refused(void **state)
{
    static const char *const names[] = {"none", "None", "NONE", "nOnE", "", "hs256", "PS256"};
    struct token_verifier *verifier = make_full_verifier();
    char header[64];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", names[i]);

        char *token = make_token_with(&hs256, header, ours);

        expect_invalid(verifier, token, "its alg is none that is known");
        strrchr(token, '.')[1] = '\0';
        expect_invalid(verifier, token, "its alg is none that is known");
        memory_free(token);
    }

    char *token = make_token(&hs256, ours);

    strrchr(token, '.')[1] = '\0';
    expect_invalid(verifier, token, "its signature is by none of the keys");
    memory_free(token);
    token_verifier_destroy(verifier);
}

static void public_key_is_no_secret(void **state)
{
    struct token_verifier *public_only =
        make_verifier(&(struct token_options){.rsa_public_key = write_public_key("rsa.pem", rsa)});
    struct token_verifier *all = make_full_verifier();
    char pem[2048] = "";
    FILE *file = fopen(in_directory("rsa.pem"), "re");

    (void)state;
    assert_non_null(file);
    assert_true(fread(pem, 1, sizeof(pem) - 1, file) > 0);
    fclose(file);

    const struct signer attacker = {"HS256", EVP_sha256, NULL, pem, 0};
    char *token = make_token(&attacker, ours);

    expect_invalid(public_only, token, "there is no key for its kid and alg");
    expect_invalid(all, token, "its signature is by none of the keys");
    memory_free(token);
    token_verifier_destroy(public_only);
    token_verifier_destroy(all);
}

static void key_of_another_kind_is_not_tried(void **state)
{
    struct token_verifier *verifier = make_verifier(
        &(struct token_options){.ecdsa_public_key = write_public_key("p384.pem", p384)});
    const struct signer wrong[] = {
        {"ES256", EVP_sha256, p384, NULL, 48}, /* the curve of another algorithm */
        {"ES512", EVP_sha512, p384, NULL, 48},
        {"RS256", EVP_sha384, p384, NULL, 48},
        {"EdDSA", EVP_sha384, p384, NULL, 48},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char *token = make_token(&wrong[i], ours);

        expect_invalid(verifier, token, "there is no key for its kid and alg");
        memory_free(token);
    }
    token_verifier_destroy(verifier);
}

static void signature_in_asn1_is_refused(void **state)
{
    struct token_verifier *verifier = make_full_verifier();
    const struct signer signer = {"ES256", EVP_sha256, p256, NULL, 0};
    char *token = make_token(&signer, ours);

    (void)state;
    expect_invalid(verifier, token, "its signature is by none of the keys");
    memory_free(token);
    token_verifier_destroy(verifier);
}

static void header_that_is_not_understood_is_refused(void **state)
{
    static const struct {
        const char *header;
        const char *problem;
    } cases[] = {
        {"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
         "its header asks for an extension (crit)"},
        {"{\"alg\":\"HS256\",\"crit\":[]}", "its header asks for an extension (crit)"},
        {"{\"alg\":\"HS256\",\"crit\":null}", "its header asks for an extension (crit)"},
        {"{\"typ\":\"JWT\"}", "its header names no alg"},
        {"{\"alg\":1}", "its header names no alg"},
        {"{\"alg\":null}", "its header names no alg"},
        {"{\"alg\":[\"HS256\"]}", "its header names no alg"},
        {"{\"alg\":\"HS256\",\"kid\":1}", "its kid is not a string"},
        {"{\"alg\":\"HS256\",\"kid\":null}", "its kid is not a string"},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", "its header is not base64url of a JSON object"},
        {"{\"alg\":\"HS256\"} {}", "its header is not base64url of a JSON object"},
        {"[\"HS256\"]", "its header is not base64url of a JSON object"},
        {"\"HS256\"", "its header is not base64url of a JSON object"},
        {"", "its header is not base64url of a JSON object"},
        {"{\"alg\":\"HS256\\u0000\"}", "its header is not base64url of a JSON object"},
        {"{\"alg\":\"HS256\",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
         "]]}",
         "its header is not base64url of a JSON object"},
    };
    struct token_verifier *verifier = make_full_verifier();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *token = make_token_with(&hs256, cases[i].header, ours);

        expect_invalid(verifier, token, cases[i].problem);
        memory_free(token);
    }
    token_verifier_destroy(verifier);
}

static void keys_that_a_token_brings_are_ignored(void **state)
{
    struct token_verifier *verifier = make_full_verifier();
    EVP_PKEY *own = EVP_EC_gen("P-256");
    const struct signer attacker = {"ES256", EVP_sha256, own, NULL, 32};
    char header[1024];

    (void)state;
    snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"jku\":\"https://evil/\",\"jwk\":%s}",
             make_jwk(own, "\"use\":\"sig\""));

    char *token = make_token_with(&attacker, header, ours);

    expect_invalid(verifier, token, "its signature is by none of the keys");
    memory_free(token);
    EVP_PKEY_free(own);
    token_verifier_destroy(verifier);
}

static void token_cut_anywhere_is_refused(void **state)
{
    struct token_verifier *verifier = make_full_verifier();
    char *token = make_token(&hs256, ours);
    enum token_outcome outcome;

    (void)state;
    for (size_t size = strlen(token); size-- > 0;) {
        char *cut = memory_copy_text(token, size);

        assert_non_null(read_problem(verifier, cut, &outcome));
        assert_int_equal(outcome, TOKEN_INVALID);
        memory_free(cut);
    }
    memory_free(token);
    token_verifier_destroy(verifier);
}

/* Also one that says the same in base64, as bits that no byte needs. */
static void token_with_any_letter_changed_is_refused(void **state)
{
    static const char letters[] = "AB9-_.=+/ \n";
    struct token_verifier *verifier = make_full_verifier();
    char *token = make_token(&hs256, ours);
    enum token_outcome outcome;

    (void)state;
    for (size_t i = 0; token[i]; i++) {
        char before = token[i];

        for (const char *letter = letters; *letter; letter++) {
            token[i] = *letter;
            assert_true((read_problem(verifier, token, &outcome) == NULL) == (*letter == before));
        }
        token[i] = before;
    }
    memory_free(token);
    token_verifier_destroy(verifier);
}

static void token_with_more_behind_it_is_refused(void **state)
{
    static const char *const ends[] = {".", "=", "==", "\n", " ", "A", ".A", ".e30"};
    struct token_verifier *verifier = make_full_verifier();
    char *token = make_token(&hs256, ours);
    enum token_outcome outcome;

    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char longer[512];

        snprintf(longer, sizeof(longer), "%s%s", token, ends[i]);
        assert_non_null(read_problem(verifier, longer, &outcome));
    }
    memory_free(token);
    token_verifier_destroy(verifier);
}

static char *make_long_token(size_t size)
{
    char *payload = memory_zeroed(1, size + 32);
    int start = snprintf(payload, size + 32, "{\"sub\":\"ann\",\"x\":\"");

    memset(payload + start, 'x', size);
    memcpy(payload + start + size, "\"}", sizeof("\"}"));

    char *token = make_token(&hs256, payload);

    memory_free(payload);
    return token;
}

static void token_beyond_16_kib_is_refused_unseen(void **state)
{
    struct token_verifier *verifier = make_full_verifier();
    char *largest = make_long_token(12192);
    char *larger = make_long_token(12240);
    char *huge = make_long_token(48000);

    (void)state;
    assert_in_range(strlen(largest), TOKEN_LIMIT - 64, TOKEN_LIMIT);
    expect_valid(verifier, largest);
    expect_invalid(verifier, larger, "it is larger than 16 KB");
    assert_in_range(strlen(huge), 64000, 65536);
    expect_invalid(verifier, huge, "it is larger than 16 KB");
    memory_free(largest);
    memory_free(larger);
    memory_free(huge);
    token_verifier_destroy(verifier);
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const texts[] = {"", ".", "..", "...", "a.b", "a.b.c.d.e", "{}.{}.x"};
    struct token_verifier *verifier = make_full_verifier();
    enum token_outcome outcome;
    struct token_claims claims;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_non_null(read_problem(verifier, texts[i], &outcome));
        assert_int_equal(outcome, TOKEN_INVALID);
    }
    assert_int_equal(token_read_connection(verifier, (struct text){NULL, 0}, NOW, &claims),
                     TOKEN_INVALID);
    token_verifier_destroy(verifier);
}

/* RFC 7515 A.1 to A.4 and RFC 8037 A.4, with their keys. */
static void examples_of_the_rfcs_are_verified(void **state)
{
#define JOE                                                                                        \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
#define NOT_JSON "its payload is not base64url of a JSON object"
    static const struct {
        const char *token;
        const char *problem; /* NULL: none; else, it comes after the signature */
    } examples[] = {
        {"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE
         ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
         NULL},
        {"eyJhbGciOiJSUzI1NiJ9." JOE
         ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8"
         "W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS"
         "jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvW"
         "h6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
         NULL},
        {"eyJhbGciOiJFUzI1NiJ9." JOE
         ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
         NULL},
        {"eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA."
         "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtA"
         "G8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
         NOT_JSON},
        {"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
         "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
         NOT_JSON},
    };
    static const char keys[] =
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
        "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"},"
        "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
        "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
        "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
        "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9"
        "_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpX"
        "p5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","
        "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-"
        "x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"},"
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
        "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    struct token_verifier *verifier =
        make_verifier(&(struct token_options){.jwks_file = write_file("rfc.jwks", keys)});

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        struct token_claims claims;
        /* The day before joe's token ends. */
        enum token_outcome outcome =
            token_read_connection(verifier, text_of(examples[i].token), 1300819380 - DAY, &claims);

        if (examples[i].problem)
            assert_string_equal(claims.problem, examples[i].problem);
        else
            assert_int_equal(outcome, TOKEN_VALID);
        token_claims_deinit(&claims);
    }
    token_verifier_destroy(verifier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_algorithm_is_valid_and_no_other_signature),
        cmocka_unit_test(token_without_a_signature_is_refused),
        cmocka_unit_test(public_key_is_no_secret),
        cmocka_unit_test(key_of_another_kind_is_not_tried),
        cmocka_unit_test(signature_in_asn1_is_refused),
        cmocka_unit_test(header_that_is_not_understood_is_refused),
        cmocka_unit_test(keys_that_a_token_brings_are_ignored),
        cmocka_unit_test(token_cut_anywhere_is_refused),
        cmocka_unit_test(token_with_any_letter_changed_is_refused),
        cmocka_unit_test(token_with_more_behind_it_is_refused),
        cmocka_unit_test(token_beyond_16_kib_is_refused_unseen),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(examples_of_the_rfcs_are_verified),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
