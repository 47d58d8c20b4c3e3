/*
 * The format is RFC 5077's recommended one: AES-256-CBC, HMAC-SHA-256 over it, and a name that says
 * which key it was. All three are derived from the line in the file.
 *
 * Keys of a file never change. Random ones do, while handshakes on other threads use them, so each
 * use takes a copy under a lock; it comes once in a handshake, which costs a thousand times more.
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
#include <stdbool.h>
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
    uv_mutex_t lock;  /* for what follows */
    uint64_t made_ms; /* when the first of random keys was */
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
    if (uv_mutex_init(&tickets->lock))
        abort(); /* memory, too */
    return tickets;
}

static void add_random_key(struct tls_tickets *tickets, uint64_t now_ms)
{
    unsigned char secret[SECRET_BYTES];

    random_bytes(secret, sizeof(secret));
    add_key(tickets, secret);
    tickets->made_ms = now_ms;
}

struct tls_tickets *tls_tickets_random(uint64_t now_ms)
{
    struct tls_tickets *tickets = create();

    add_random_key(tickets, now_ms);
    return tickets;
}

/* Forgets all keys from this one on. */
static void cut(struct tls_tickets *tickets, size_t count)
{
    OPENSSL_cleanse(&tickets->keys[count], (KEY_LIMIT - count) * sizeof(tickets->keys[0]));
    tickets->count = count;
}

void tls_tickets_rotate(struct tls_tickets *tickets, uint64_t now_ms)
{
    uv_mutex_lock(&tickets->lock);

    uint64_t age_ms = now_ms - tickets->made_ms;

    if (age_ms >= TLS_TICKET_KEY_MS) {
        struct ticket_key old = tickets->keys[0];

        cut(tickets, 0);
        add_random_key(tickets, now_ms);
        tickets->keys[tickets->count++] = old;
        OPENSSL_cleanse(&old, sizeof(old));
    } else if (age_ms >= TLS_TICKET_LIFETIME_MS && tickets->count > 1) {
        cut(tickets, 1);
    }
    uv_mutex_unlock(&tickets->lock);
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
    cut(tickets, 0);
    uv_mutex_destroy(&tickets->lock);
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

/* The first key, to seal with, or the one of this name; its position, or -1 where there is none. */
static int take_key(struct tls_tickets *tickets, const unsigned char *name, struct ticket_key *key)
{
    int found = -1;

    uv_mutex_lock(&tickets->lock);
    for (size_t i = 0; i < tickets->count && found < 0; i++) {
        if (name && memcmp(name, tickets->keys[i].name, sizeof(key->name)) != 0)
            continue;
        *key = tickets->keys[i];
        found = (int)i;
    }
    uv_mutex_unlock(&tickets->lock);
    return found;
}

/* -1: OpenSSL cannot; 0: no key of ours, a full handshake follows; 1: done; 2: done, but the client
 * is to have a ticket of the first key. */
static int on_ticket(SSL *tls, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seal)
{
    struct tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls));
    struct ticket_key key;
    int position = take_key(tickets, seal ? NULL : name, &key);
    bool is_set;

    if (position < 0)
        return 0;
    if (seal) {
        random_bytes(iv, 16);
        memcpy(name, key.name, sizeof(key.name));
        is_set = EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1;
    } else {
        is_set = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1;
    }
    is_set = is_set && set_mac(mac, &key) == 1;
    OPENSSL_cleanse(&key, sizeof(key));
    if (!is_set)
        return -1;
    return position == 0 ? 1 : 2;
}

void tls_tickets_serve(struct tls_tickets *tickets, SSL_CTX *ssl)
{
    SSL_CTX_set_app_data(ssl, tickets);
    SSL_CTX_set_timeout(ssl, (long)(TLS_TICKET_LIFETIME_MS / 1000));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
}
