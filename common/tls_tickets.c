/*
 * The format is RFC 5077's recommended one: AES-256-CBC, HMAC-SHA-256 over it, and a name that says
 * which key it was. All three are derived from the line in the file.
 */
#include "common/tls_tickets.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"
#include "common/random.h"

#define SECRET_BYTES 32
#define KEY_LIMIT    16
#define LINE_LIMIT   256

struct ticket_key {
    unsigned char name[16];
    unsigned char cipher[32];
    unsigned char mac[32];
};

struct tls_tickets {
    atomic_uint references;
    size_t count;
    struct ticket_key keys[KEY_LIMIT];
};

static void derive(const unsigned char secret[SECRET_BYTES], const char *purpose,
                   unsigned char out[64])
{
    unsigned size = 64;

    if (!HMAC(EVP_sha512(), secret, SECRET_BYTES, (const unsigned char *)purpose, strlen(purpose),
              out, &size))
        abort(); /* memory, which never fails here */
}

static void add_key(struct tls_tickets *tickets, unsigned char secret[SECRET_BYTES])
{
    struct ticket_key *key = &tickets->keys[tickets->count++];
    unsigned char bytes[64];

    derive(secret, "carillon ticket name", bytes);
    memcpy(key->name, bytes, sizeof(key->name));
    derive(secret, "carillon ticket keys", bytes);
    memcpy(key->cipher, bytes, sizeof(key->cipher));
    memcpy(key->mac, bytes + sizeof(key->cipher), sizeof(key->mac));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    OPENSSL_cleanse(secret, SECRET_BYTES);
}

static struct tls_tickets *create(void)
{
    struct tls_tickets *tickets = memory_zeroed(1, sizeof(*tickets));

    atomic_init(&tickets->references, 1);
    return tickets;
}

struct tls_tickets *tls_tickets_random(void)
{
    struct tls_tickets *tickets = create();
    unsigned char secret[SECRET_BYTES];

    random_bytes(secret, sizeof(secret));
    add_key(tickets, secret);
    return tickets;
}

/* One line without its end: 1 for a key, 0 for none, UV_EINVAL. */
static int read_line(char *line, unsigned char secret[SECRET_BYTES])
{
    size_t size = strcspn(line, "#\r\n");

    while (size > 0 && isspace((unsigned char)line[size - 1]))
        size--;
    line[size] = '\0';
    if (size == 0)
        return 0;
    if (size != (size_t)2 * SECRET_BYTES || strspn(line, "0123456789abcdefABCDEF") != size)
        return UV_EINVAL;
    for (size_t i = 0; i < SECRET_BYTES; i++) {
        const char digits[3] = {line[2 * i], line[2 * i + 1], '\0'};

        secret[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return 1;
}

int tls_tickets_load(struct tls_tickets **out, const char *path, size_t *line)
{
    FILE *file = fopen(path, "re");
    unsigned char secret[SECRET_BYTES];
    char text[LINE_LIMIT];
    int result = 0;

    *line = 0;
    if (!file)
        return -errno;

    struct tls_tickets *tickets = create();

    while (result >= 0 && fgets(text, sizeof(text), file)) {
        ++*line;
        result = read_line(text, secret);
        if (result == 1 && tickets->count == KEY_LIMIT)
            result = UV_EINVAL;
        else if (result == 1)
            add_key(tickets, secret);
    }
    if (ferror(file)) {
        result = UV_EIO;
    } else if (result >= 0 && tickets->count == 0) {
        *line = 0;
        result = UV_EINVAL;
    }
    fclose(file);
    OPENSSL_cleanse(text, sizeof(text));
    if (result < 0) {
        tls_tickets_unref(tickets);
        return result;
    }
    *out = tickets;
    return 0;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets)
{
    atomic_fetch_add_explicit(&tickets->references, 1, memory_order_relaxed);
    return tickets;
}

void tls_tickets_unref(struct tls_tickets *tickets)
{
    if (!tickets || atomic_fetch_sub_explicit(&tickets->references, 1, memory_order_acq_rel) != 1)
        return;
    OPENSSL_cleanse(tickets->keys, sizeof(tickets->keys));
    memory_free(tickets);
}

static int set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    static char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params);
}

/* -1: OpenSSL cannot; 0: no key of ours, a full handshake follows; 1: done; 2: done, but the client
 * is to have a ticket of the first key. */
static int on_ticket(SSL *tls, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seal)
{
    struct tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls));
    struct ticket_key *key = tickets->keys;

    if (seal) {
        random_bytes(iv, 16);
        memcpy(name, key->name, sizeof(key->name));
        if (EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) != 1)
            return -1;
        return set_mac(mac, key) == 1 ? 1 : -1;
    }
    for (size_t i = 0; i < tickets->count; i++, key++) {
        if (memcmp(name, key->name, sizeof(key->name)) != 0)
            continue;
        if (set_mac(mac, key) != 1 ||
            EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) != 1)
            return -1;
        return i == 0 ? 1 : 2;
    }
    return 0;
}

void tls_tickets_serve(struct tls_tickets *tickets, SSL_CTX *ssl)
{
    SSL_CTX_set_app_data(ssl, tickets);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
}
