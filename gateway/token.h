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

#define TOKEN_LIMIT        ((size_t)16 * 1024) /* bytes of a token */
#define TOKEN_USER_LIMIT   255                 /* bytes of `sub` */
#define TOKEN_SUBS_LIMIT   128                 /* server-side subscriptions of a connection */
#define TOKEN_LEEWAY_LIMIT 86400               /* seconds */
#define TOKEN_TIME_LIMIT   253402300799        /* seconds since 1970: the end of the year 9999 */

struct token_options {
    /* A secret a line, of 32 bytes at least, for HS256, HS384 and HS512; NULL or empty: none, as in
     * all of these. */
    const char *hmac_secret_file;
    const char *rsa_public_key;   /* PEM file: RS256, RS384, RS512 */
    const char *ecdsa_public_key; /* PEM file: ES256, ES384, ES512 */
    const char *eddsa_public_key; /* PEM file: EdDSA */
    const char *jwks_file;        /* a JSON Web Key Set (RFC 7517): keys by `kid` */
    const char *audience;         /* empty: any */
    const char *issuer;           /* empty: any */
    uint64_t leeway_s;            /* of clocks, for exp, nbf, iat; <= TOKEN_LEEWAY_LIMIT */
    const char *user_id_claim;    /* empty: sub */
};

struct token_verifier;

/*
 * Reads the keys; each file may hold several, for rotation, at most 64 in all. 0, or UV_EINVAL with
 * one line in `error`. A token with a `kid` is verified with the keys of that name; where there is
 * none, with those that have no name, as the keys of PEM and secret files. A token without one is
 * verified with any key, of the first 16 that its algorithm fits. The options are copied.
 */
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

/* What a subscription's namespace says, and a token may say otherwise. */
enum token_override {
    TOKEN_OVERRIDE_PRESENCE,
    TOKEN_OVERRIDE_JOIN_LEAVE,
    TOKEN_OVERRIDE_FORCE_RECOVERY,
    TOKEN_OVERRIDE_FORCE_POSITIONING,
    TOKEN_OVERRIDE_FORCE_PUSH_JOIN_LEAVE,
    TOKEN_OVERRIDES,
};

/* Of `info`, `meta` and `data`: JSON text on one line, or what the claim's twin in base64
 * (`b64info`, `b64data`) says, which may be any bytes. NULL: none. A zero byte stands behind. */
struct token_sub {
    char *channel; /* a valid name of a channel */
    char *info;    /* of the client in this channel */
    size_t info_size;
    char *data; /* that the client is told when it is subscribed */
    size_t data_size;
    bool has_override[TOKEN_OVERRIDES];
    bool override[TOKEN_OVERRIDES];
};

struct token_claims {
    char *user;           /* "" for an anonymous one; never NULL where the token is valid */
    int64_t expires_at_s; /* of the connection or subscription; 0: never. May be over already. */
    char *info;
    size_t info_size;
    char *meta; /* of a connection token */
    size_t meta_size;
    struct token_sub *subs; /* of a connection token: `channels` and `subs`, each channel once */
    size_t sub_count;
    char *channel; /* of a subscription token; a valid name of a channel */
    char *client;  /* of a subscription token that names one; NULL: none */
    char *data;    /* of a subscription token, as token_sub's */
    size_t data_size;
    bool has_override[TOKEN_OVERRIDES]; /* of a subscription token */
    bool override[TOKEN_OVERRIDES];
    const char *problem; /* static text without anything of the token, where it is not valid; else
                            NULL */
};

/* What a connection's token says at `now_s` (seconds since 1970). The claims are the caller's to
 * free after any outcome; they are empty where the token is not valid. A subscription token is none
 * for a connection. */
enum token_outcome token_read_connection(const struct token_verifier *verifier, struct text token,
                                         int64_t now_s, struct token_claims *claims);

/* The same of a token for one channel; that it is for this channel, user and client is the caller's
 * to check. */
enum token_outcome token_read_subscription(const struct token_verifier *verifier, struct text token,
                                           int64_t now_s, struct token_claims *claims);

void token_claims_deinit(struct token_claims *claims);

#endif
