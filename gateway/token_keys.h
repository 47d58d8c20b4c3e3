/* The keys of a verifier, from the files that the operator names. */
#ifndef GATEWAY_TOKEN_KEYS_H
#define GATEWAY_TOKEN_KEYS_H

#include <stddef.h>

#include "common/buffer.h"
#include "common/text.h"
#include "gateway/token_key.h"

#define TOKEN_KEYS_LIMIT      64
#define TOKEN_KEYS_FILE_LIMIT ((size_t)1024 * 1024)
#define TOKEN_KEYS_ERROR      256

struct token_keys {
    size_t count;
    struct token_key keys[TOKEN_KEYS_LIMIT];
};

/* The family of the keys in a PEM file. */
enum token_key_family { TOKEN_FAMILY_RSA, TOKEN_FAMILY_ECDSA, TOKEN_FAMILY_EDDSA };

/*
 * Each adds the keys of a file: 0, or UV_EINVAL with one line in `error` that names the file. What
 * was added before the error stays, for token_keys_deinit.
 *
 * A secret is a line; the end of the last line may be missing. Several are for rotation.
 */
int token_keys_add_secrets(struct token_keys *keys, const char *path, char error[TOKEN_KEYS_ERROR]);

/* Blocks of `PUBLIC KEY`, all of that family. */
int token_keys_add_pem(struct token_keys *keys, const char *path, enum token_key_family family,
                       char error[TOKEN_KEYS_ERROR]);

/* RFC 7517. Keys that are for something else than signatures (§4.2, §4.3), or of a kind or
 * algorithm that is unknown here, are passed over (§5); one at least has to be left. */
int token_keys_add_jwks(struct token_keys *keys, const char *path, char error[TOKEN_KEYS_ERROR]);

void token_keys_deinit(struct token_keys *keys);

/* For the readers of files. */

/* What the file holds, at most TOKEN_KEYS_FILE_LIMIT; token_keys_forget frees it in any case. */
int token_keys_read(const char *path, struct buffer *content, char error[TOKEN_KEYS_ERROR]);
void token_keys_forget(struct buffer *content);

/* Writes the line; `number` is that of the key, from 1, or 0. Returns UV_EINVAL. */
int token_keys_refuse(char error[TOKEN_KEYS_ERROR], const char *path, size_t number,
                      const char *problem);

/* Takes what the key owns, in any case. NULL, or what is wrong. */
const char *token_keys_add(struct token_keys *keys, struct token_key *key);

/* NULL, or why these bytes are no secret. */
const char *token_keys_check_secret(struct text secret);

#endif
