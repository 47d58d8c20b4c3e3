/*
 * A key that tokens are verified with, and the algorithms (RFC 7518 §3, RFC 8037 §3.1) that may be
 * used with it. Which algorithm it is, the token says; whether the key may be used for it, the key
 * alone decides.
 */
#ifndef GATEWAY_TOKEN_KEY_H
#define GATEWAY_TOKEN_KEY_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/text.h"

#define TOKEN_SECRET_LEAST_BYTES 32
#define TOKEN_RSA_LEAST_BITS     2048
#define TOKEN_RSA_MOST_BITS      8192 /* beyond, a signature costs more than a client may */

enum token_key_kind {
    TOKEN_KEY_SECRET,
    TOKEN_KEY_RSA,
    TOKEN_KEY_P256,
    TOKEN_KEY_P384,
    TOKEN_KEY_P521,
    TOKEN_KEY_ED25519,
};

struct token_algorithm {
    const char *name;
    enum token_key_kind kind;
    const EVP_MD *(*digest)(void); /* NULL: the algorithm has its own */
    size_t half_bytes;             /* of ECDSA: each of R and S */
};

struct token_key {
    enum token_key_kind kind;
    char *id;                                /* `kid`; NULL: none */
    const struct token_algorithm *algorithm; /* the only one it is for; NULL: all of its kind */
    EVP_PKEY *public_key;                    /* NULL for a secret */
    unsigned char *secret;
    size_t secret_size;
};

/* By its name, letter for letter; NULL for `none` and others that we do not know. */
const struct token_algorithm *token_algorithm_find(const char *name);

bool token_key_fits(const struct token_key *key, const struct token_algorithm *algorithm);

/* True if the signature is of that text. The key fits. From any thread; leaves nothing in
 * OpenSSL's queue of errors, which TLS of the same thread reads. */
bool token_key_verify(const struct token_key *key, const struct token_algorithm *algorithm,
                      struct text text, const unsigned char *signature, size_t signature_size);

/* What kind of public key that is. NULL, or why it is none for tokens (static text). */
const char *token_key_classify(EVP_PKEY *public_key, enum token_key_kind *kind);

void token_key_deinit(struct token_key *key);

#endif
