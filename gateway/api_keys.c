/* Hashes are what is compared: all of one length, and of no use to whoever could guess a part. */
#include "gateway/api_keys.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"

#define HASH_BYTES 32
#define FILE_LIMIT ((size_t)16 * 1024)

struct api_keys {
    size_t count;
    unsigned char hashes[API_KEYS_LIMIT][HASH_BYTES];
};

static void hash(struct text key, unsigned char out[HASH_BYTES])
{
    memset(out, 0, HASH_BYTES);
    EVP_Digest(key.data, key.size, out, NULL, EVP_sha256(), NULL);
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct text trim(struct text line)
{
    while (line.size > 0 && is_blank(line.data[0]))
        line = (struct text){line.data + 1, line.size - 1};
    while (line.size > 0 && is_blank(line.data[line.size - 1]))
        line.size--;
    return line;
}

static int add(struct api_keys *keys, struct text line)
{
    if (line.size == 0 || line.data[0] == '#')
        return 0;
    if (line.size < API_KEY_LEAST_BYTES || line.size > API_KEY_MOST_BYTES ||
        keys->count == API_KEYS_LIMIT)
        return UV_EINVAL;
    hash(line, keys->hashes[keys->count++]);
    return 0;
}

static int add_lines(struct api_keys *keys, struct text text)
{
    int error = 0;

    while (text.size > 0 && !error) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        size_t step = end ? size + 1 : size;

        error = add(keys, trim((struct text){text.data, size}));
        text = (struct text){text.data + step, text.size - step};
    }
    return error ? error : keys->count > 0 ? 0 : UV_EINVAL;
}

int api_keys_read(struct api_keys **out, const char *path)
{
    FILE *file = fopen(path, "re");
    char *bytes;
    size_t size;
    int error;

    if (!file)
        return -errno;
    bytes = memory_allocate(FILE_LIMIT + 1);
    size = fread(bytes, 1, FILE_LIMIT + 1, file);
    error = ferror(file) ? UV_EIO : size > FILE_LIMIT ? UV_EINVAL : 0;
    fclose(file);
    *out = memory_zeroed(1, sizeof(**out));
    if (!error)
        error = add_lines(*out, (struct text){bytes, size});
    OPENSSL_cleanse(bytes, FILE_LIMIT + 1);
    memory_free(bytes);
    if (error) {
        api_keys_destroy(*out);
        *out = NULL;
    }
    return error;
}

const char *api_keys_explain(int error)
{
    return error == UV_EINVAL ? "expected 1 to 16 lines with a key of 16 to 255 bytes each"
                              : uv_strerror(error);
}

void api_keys_destroy(struct api_keys *keys)
{
    memory_free(keys);
}

bool api_keys_have(const struct api_keys *keys, struct text key)
{
    unsigned char wanted[HASH_BYTES];
    bool has = false;

    hash(key, wanted);
    for (size_t i = 0; i < keys->count; i++)
        has |= CRYPTO_memcmp(wanted, keys->hashes[i], HASH_BYTES) == 0;
    return has;
}
