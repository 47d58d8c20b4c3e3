/*
 * Tokens (JWT, RFC 7519, signed as RFC 7515 says): who a client is, and which channels it may
 * listen to. Verified with keys that the application shares or publishes; the claims are those that
 * Centrifugo's users know. Pure but for reading key files; a verifier is immutable and may be used
 * from any thread.
 */
#ifndef GATEWAY_TOKEN_H
#define GATEWAY_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/text.h"

#define TOKEN_LIMIT      ((size_t)16 * 1024) /* bytes of a token */
#define TOKEN_USER_LIMIT 255                 /* bytes of `sub` */
#define TOKEN_SUBS_LIMIT 128                 /* server-side subscriptions of a connection */

struct token_options {
    const char *hmac_secret_file; /* NULL or empty: none; HS256, HS384, HS512; >= 32 bytes */
    const char *rsa_public_key;   /* PEM file: RS256, RS384, RS512 */
    const char *ecdsa_public_key; /* PEM file: ES256, ES384, ES512 */
    const char *eddsa_public_key; /* PEM file: EdDSA */
    const char *jwks_file;        /* a JSON Web Key Set (RFC 7517): keys by `kid` */
    const char *audience;         /* empty: any */
    const char *issuer;           /* empty: any */
    uint64_t leeway_s;            /* of clocks, for exp, nbf, iat */
    const char *user_id_claim;    /* empty: sub */
};

struct token_verifier;

/* Reads the keys. 0, or UV_EINVAL with one line in `error`. */
int token_verifier_create(struct token_verifier **verifier, const struct token_options *options,
                          char error[256]);
void token_verifier_destroy(struct token_verifier *verifier);

/* True where there is any key at all. */
bool token_verifier_has_keys(const struct token_verifier *verifier);

enum token_outcome {
    TOKEN_VALID,
    TOKEN_EXPIRED, /* signed by us, and its time is over */
    TOKEN_INVALID, /* anything else; `problem` says what, for the log */
};

struct token_sub {
    char *channel;
    char *info; /* JSON text of chan_info; NULL: none */
    char *data; /* JSON text; NULL: none */
    bool has_override[4];
    bool override[4]; /* presence, join_leave, force_recovery, force_positioning */
};

struct token_claims {
    char *user;             /* "" for an anonymous one; never NULL where the token is valid */
    int64_t expires_at_s;   /* of the connection or subscription; 0: never */
    char *channel;          /* of a subscription token */
    char *client;           /* of a subscription token that names one; NULL: none */
    char *info;             /* JSON text; NULL: none */
    char *meta;             /* JSON text; NULL: none */
    struct token_sub *subs; /* of a connection token: `channels` and `subs` */
    size_t sub_count;
    bool has_override[4]; /* of a subscription token, as above */
    bool override[4];
    const char *problem; /* static text, where it is not valid */
};

/* What a connection's token says at `now_s` (seconds since 1970). The claims are the caller's to
 * free after any outcome. */
enum token_outcome token_read_connection(const struct token_verifier *verifier, struct text token,
                                         int64_t now_s, struct token_claims *claims);

/* The same of a token for one channel; that it is for this channel is the caller's to check. */
enum token_outcome token_read_subscription(const struct token_verifier *verifier, struct text token,
                                           int64_t now_s, struct token_claims *claims);

void token_claims_deinit(struct token_claims *claims);

#endif
