#include "gateway/token_keys.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"

int token_keys_refuse(char error[TOKEN_KEYS_ERROR], const char *path, size_t number,
                      const char *problem)
{
    if (number > 0)
        snprintf(error, TOKEN_KEYS_ERROR, "token keys in %.120s: key %zu: %.90s", path, number,
                 problem);
    else
        snprintf(error, TOKEN_KEYS_ERROR, "token keys in %.130s: %.100s", path, problem);
    return UV_EINVAL;
}

int token_keys_read(const char *path, struct buffer *content, char error[TOKEN_KEYS_ERROR])
{
    FILE *file = fopen(path, "re");
    const char *problem = NULL;

    if (!file)
        return token_keys_refuse(error, path, 0, uv_strerror(-errno));
    /* The stream's own buffer would keep a copy of secrets. */
    setvbuf(file, NULL, _IONBF, 0);
    content->size = fread(buffer_reserve(content, TOKEN_KEYS_FILE_LIMIT + 1), 1,
                          TOKEN_KEYS_FILE_LIMIT + 1, file);
    if (ferror(file))
        problem = uv_strerror(errno > 0 ? -errno : UV_EIO);
    else if (content->size > TOKEN_KEYS_FILE_LIMIT)
        problem = "larger than 1 MB";
    else if (content->size == 0)
        problem = "empty";
    fclose(file);
    return problem ? token_keys_refuse(error, path, 0, problem) : 0;
}

void token_keys_forget(struct buffer *content)
{
    if (content->data)
        OPENSSL_cleanse(content->data, content->size);
    buffer_deinit(content);
}

const char *token_keys_add(struct token_keys *keys, struct token_key *key)
{
    if (keys->count == TOKEN_KEYS_LIMIT) {
        token_key_deinit(key);
        return "more than 64 keys";
    }
    keys->keys[keys->count++] = *key;
    return NULL;
}

void token_keys_deinit(struct token_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        token_key_deinit(&keys->keys[i]);
    keys->count = 0;
}

/* Where a PEM file is given as the secret, whoever knows the public key could sign. */
const char *token_keys_check_secret(struct text secret)
{
    static const char pem[] = "-----BEGIN ";

    if (secret.size > 0 && memmem(secret.data, secret.size, pem, sizeof(pem) - 1))
        return "PEM, which is no shared secret";
    if (secret.size < TOKEN_SECRET_LEAST_BYTES)
        return "a secret of less than 32 bytes";
    return NULL;
}

/* Cuts the first line off, without its end. */
static struct text next_line(struct text *rest)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    struct text line = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    size_t whole = end ? line.size + 1 : line.size;

    rest->data += whole;
    rest->size -= whole;
    if (end && line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}

static const char *add_secret(struct token_keys *keys, struct text line)
{
    const char *problem = token_keys_check_secret(line);

    if (problem)
        return problem;

    struct token_key key = {
        .kind = TOKEN_KEY_SECRET,
        .secret = (unsigned char *)memory_copy_text(line.data, line.size),
        .secret_size = line.size,
    };

    return token_keys_add(keys, &key);
}

int token_keys_add_secrets(struct token_keys *keys, const char *path, char error[TOKEN_KEYS_ERROR])
{
    struct buffer content = {0};
    int result = token_keys_read(path, &content, error);
    struct text rest = {(const char *)content.data, content.size};

    for (size_t number = 1; !result && rest.size > 0; number++) {
        const char *problem = add_secret(keys, next_line(&rest));

        if (problem)
            result = token_keys_refuse(error, path, number, problem);
    }
    token_keys_forget(&content);
    return result;
}

static bool is_of(enum token_key_kind kind, enum token_key_family family)
{
    switch (kind) {
    case TOKEN_KEY_RSA:
        return family == TOKEN_FAMILY_RSA;
    case TOKEN_KEY_P256:
    case TOKEN_KEY_P384:
    case TOKEN_KEY_P521:
        return family == TOKEN_FAMILY_ECDSA;
    case TOKEN_KEY_ED25519:
        return family == TOKEN_FAMILY_EDDSA;
    default:
        return false;
    }
}

static const char *add_block(struct token_keys *keys, enum token_key_family family,
                             const char *name, const unsigned char *bytes, long size)
{
    const unsigned char *at = bytes;

    if (strstr(name, "PRIVATE KEY"))
        return "a private key, where the public one alone belongs";
    if (strcmp(name, PEM_STRING_PUBLIC) != 0)
        return "expected a block PUBLIC KEY";

    struct token_key key = {.public_key = d2i_PUBKEY(NULL, &at, size)};
    const char *problem = !key.public_key || at != bytes + size
                              ? "a block that is no key"
                              : token_key_classify(key.public_key, &key.kind);

    if (!problem && !is_of(key.kind, family))
        problem = "a key of another kind than this file is for";
    if (problem) {
        token_key_deinit(&key);
        return problem;
    }
    return token_keys_add(keys, &key);
}

/* True at the end of the blocks, as opposed to a block that is broken. */
static bool is_end(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static int add_blocks(struct token_keys *keys, const char *path, enum token_key_family family,
                      BIO *source, char error[TOKEN_KEYS_ERROR])
{
    const char *problem = NULL;
    size_t number = 0;
    char *name = NULL;
    char *header = NULL;
    unsigned char *bytes = NULL;
    long size;

    while (!problem && PEM_read_bio(source, &name, &header, &bytes, &size)) {
        number++;
        problem = add_block(keys, family, name, bytes, size);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(bytes, (size_t)size);
    }
    if (problem)
        return token_keys_refuse(error, path, number, problem);
    if (!is_end())
        return token_keys_refuse(error, path, number + 1, "not well-formed PEM");
    return number > 0 ? 0 : token_keys_refuse(error, path, 0, "no PEM in it");
}

int token_keys_add_pem(struct token_keys *keys, const char *path, enum token_key_family family,
                       char error[TOKEN_KEYS_ERROR])
{
    struct buffer content = {0};
    int result = token_keys_read(path, &content, error);

    if (!result) {
        BIO *source = BIO_new_mem_buf(content.data, (int)content.size);

        ERR_set_mark();
        result = add_blocks(keys, path, family, source, error);
        ERR_pop_to_mark();
        BIO_free(source);
    }
    token_keys_forget(&content);
    return result;
}
