#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/challenge.h"

static const char secret[] = "ring the bells";

/* Nonces of the bytes 0 to 63. */
static struct challenge known_challenge(void)
{
    struct challenge challenge = {
        .dialer_node = 0x0102030405060708u, .acceptor_node = 0xf1f2f3f4f5f6f7f8u, .cluster = ""};

    for (unsigned char i = 0; i < CHALLENGE_NONCE_BYTES; i++) {
        challenge.dialer_nonce[i] = i;
        challenge.acceptor_nonce[i] = (unsigned char)(CHALLENGE_NONCE_BYTES + i);
    }
    return challenge;
}

static bool check(const struct challenge *challenge, enum challenge_side side,
                  const unsigned char proof[CHALLENGE_PROOF_BYTES])
{
    return challenge_check(challenge, side, secret, strlen(secret), proof, CHALLENGE_PROOF_BYTES);
}

static void prove(const struct challenge *challenge, enum challenge_side side,
                  unsigned char proof[CHALLENGE_PROOF_BYTES])
{
    challenge_prove(challenge, side, secret, strlen(secret), proof);
}

static void write_hex(const unsigned char proof[CHALLENGE_PROOF_BYTES],
                      char text[2 * CHALLENGE_PROOF_BYTES + 1])
{
    for (size_t i = 0; i < CHALLENGE_PROOF_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", proof[i]);
}

static void assert_proof(enum challenge_side side, const char *key, const char *hex)
{
    struct challenge challenge = known_challenge();
    unsigned char proof[CHALLENGE_PROOF_BYTES];
    char text[2 * CHALLENGE_PROOF_BYTES + 1];

    challenge_prove(&challenge, side, key, strlen(key), proof);
    write_hex(proof, text);
    assert_string_equal(text, hex);
}

/* Made with Python's hmac over the same bytes; the second secret is longer than SHA-256's block. */
static void proof_is_the_hmac_of_rfc_2104(void **state)
{
    static const char long_secret[] = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
                                      "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
                                      "kkkk";

    (void)state;
    assert_proof(CHALLENGE_DIALER, secret,
                 "f7f74ea962bacf3f50db6293696de669f18a67e32e6174e3ea3873e5521f0c70");
    assert_proof(CHALLENGE_ACCEPTOR, secret,
                 "9aded21a0ed25f06a4e67c1f35356a2766b4ea8c460a130f9007679d6e2b1605");
    assert_proof(CHALLENGE_DIALER, long_secret,
                 "001d2b9f0f1c5ce532046c0edb6048a30b37be337298c5f68fa6dd461a334063");
}

static void proof_mirrored_back_is_none(void **state)
{
    struct challenge challenge = known_challenge();
    unsigned char dialer[CHALLENGE_PROOF_BYTES];
    unsigned char acceptor[CHALLENGE_PROOF_BYTES];

    (void)state;
    prove(&challenge, CHALLENGE_DIALER, dialer);
    prove(&challenge, CHALLENGE_ACCEPTOR, acceptor);
    assert_memory_not_equal(dialer, acceptor, sizeof(dialer));
    assert_true(check(&challenge, CHALLENGE_DIALER, dialer));
    assert_true(check(&challenge, CHALLENGE_ACCEPTOR, acceptor));
    assert_false(check(&challenge, CHALLENGE_ACCEPTOR, dialer));
    assert_false(check(&challenge, CHALLENGE_DIALER, acceptor));
}

/* Not even where both sides gave the same bytes, as one would who repeats what it hears. */
static void echoed_nonce_and_node_do_not_help(void **state)
{
    struct challenge challenge = known_challenge();
    unsigned char proof[CHALLENGE_PROOF_BYTES];

    (void)state;
    memcpy(challenge.acceptor_nonce, challenge.dialer_nonce, CHALLENGE_NONCE_BYTES);
    challenge.acceptor_node = challenge.dialer_node;
    prove(&challenge, CHALLENGE_DIALER, proof);
    assert_false(check(&challenge, CHALLENGE_ACCEPTOR, proof));
}

static void any_changed_bit_of_a_proof_fails(void **state)
{
    struct challenge challenge = known_challenge();
    unsigned char proof[CHALLENGE_PROOF_BYTES];

    (void)state;
    prove(&challenge, CHALLENGE_DIALER, proof);
    for (size_t bit = 0; bit < 8 * sizeof(proof); bit++) {
        proof[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_false(check(&challenge, CHALLENGE_DIALER, proof));
        proof[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_true(check(&challenge, CHALLENGE_DIALER, proof));
}

static void proof_for_other_nonces_or_nodes_fails(void **state)
{
    struct challenge challenge = known_challenge();
    unsigned char proof[CHALLENGE_PROOF_BYTES];

    (void)state;
    prove(&challenge, CHALLENGE_DIALER, proof);
    for (size_t i = 0; i < CHALLENGE_NONCE_BYTES; i++) {
        struct challenge other = challenge;

        other.dialer_nonce[i] ^= 1;
        assert_false(check(&other, CHALLENGE_DIALER, proof));
        other = challenge;
        other.acceptor_nonce[i] ^= 1;
        assert_false(check(&other, CHALLENGE_DIALER, proof));
    }
    for (int bit = 0; bit < 64; bit++) {
        struct challenge other = challenge;

        other.dialer_node ^= (uint64_t)1 << bit;
        assert_false(check(&other, CHALLENGE_DIALER, proof));
        other = challenge;
        other.acceptor_node ^= (uint64_t)1 << bit;
        assert_false(check(&other, CHALLENGE_DIALER, proof));
    }
}

/* A name adds its bytes to what is proved: with none it is what it was before there were names. */
static void proof_for_another_cluster_fails(void **state)
{
    struct challenge challenge = known_challenge();
    unsigned char proof[CHALLENGE_PROOF_BYTES];
    char text[2 * CHALLENGE_PROOF_BYTES + 1];

    (void)state;
    challenge.cluster = "bells";
    prove(&challenge, CHALLENGE_DIALER, proof);
    write_hex(proof, text);
    assert_string_equal(text, "f2f25261854527fac369178e293e5e46a0efbf1d5be65aedec631ea81737d7c4");
    challenge.cluster = "bell";
    assert_false(check(&challenge, CHALLENGE_DIALER, proof));
    challenge.cluster = "";
    assert_false(check(&challenge, CHALLENGE_DIALER, proof));
}

static void proof_under_another_secret_fails(void **state)
{
    static const char *const others[] = {"ring the bell", "ring the bells ", "Ring the bells", "r"};
    struct challenge challenge = known_challenge();
    unsigned char proof[CHALLENGE_PROOF_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        challenge_prove(&challenge, CHALLENGE_DIALER, others[i], strlen(others[i]), proof);
        assert_false(check(&challenge, CHALLENGE_DIALER, proof));
    }
}

static void proof_of_another_length_fails(void **state)
{
    struct challenge challenge = known_challenge();
    unsigned char proof[CHALLENGE_PROOF_BYTES + 1] = {0};

    (void)state;
    prove(&challenge, CHALLENGE_DIALER, proof);
    for (size_t size = 0; size <= sizeof(proof); size++)
        assert_int_equal(
            challenge_check(&challenge, CHALLENGE_DIALER, secret, strlen(secret), proof, size),
            size == CHALLENGE_PROOF_BYTES);
    assert_false(challenge_check(&challenge, CHALLENGE_DIALER, secret, strlen(secret), NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proof_is_the_hmac_of_rfc_2104),
        cmocka_unit_test(proof_mirrored_back_is_none),
        cmocka_unit_test(echoed_nonce_and_node_do_not_help),
        cmocka_unit_test(any_changed_bit_of_a_proof_fails),
        cmocka_unit_test(proof_for_other_nonces_or_nodes_fails),
        cmocka_unit_test(proof_for_another_cluster_fails),
        cmocka_unit_test(proof_under_another_secret_fails),
        cmocka_unit_test(proof_of_another_length_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
