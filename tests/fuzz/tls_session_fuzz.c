/*
 * Bytes from outside at either end of a TLS connection. The first byte of the input says what
 * happens:
 *
 *   0, 1   the rest is all that a server, a client, is ever sent, whole and cut to pieces: what
 *          comes of the handshake is the same, and it never succeeds;
 *   else   two ends of ours shake hands and talk, and what travels is changed on the way: of every
 *          four bytes of the rest, two say at which byte and one by how much it differs (in the
 *          order in which bytes travel), one where it is cut. Whoever reads gets what the other one
 *          wrote, from its beginning, or less, and never anything else.
 */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uv.h>

#include "common/tls_context.h"
#include "common/tls_session.h"
#include "common/tls_tickets.h"

#define PATH_LIMIT  32
#define DAY         86400L
#define OUTPUT_MOST ((size_t)64 * 1024)
#define TEXT_SIZE   20000u /* more than a record */
#define ROUNDS      8

static struct tls_context *server_side;
static struct tls_context *client_side;
static unsigned char text[TEXT_SIZE];

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* A file of this process alone. */
static FILE *open_file(const char *name, char path[PATH_LIMIT])
{
    int fd = memfd_create(name, 0);

    snprintf(path, PATH_LIMIT, "/proc/self/fd/%d", fd);
    return fdopen(dup(fd), "w");
}

static void write_pair(char certificate_path[PATH_LIMIT], char key_path[PATH_LIMIT])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_EXTENSION *names;
    FILE *file;

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 10000 * DAY);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    require(X509_sign(certificate, key, EVP_sha256()) > 0);
    file = open_file("certificate", certificate_path);
    require(PEM_write_X509(file, certificate) == 1 && fclose(file) == 0);
    file = open_file("key", key_path);
    require(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char certificate[PATH_LIMIT];
    char key[PATH_LIMIT];
    char error[TLS_ERROR_LIMIT];

    (void)argc;
    (void)argv;
    write_pair(certificate, key);
    for (size_t i = 0; i < TEXT_SIZE; i++)
        text[i] = (unsigned char)(i * 31 + i / 251);

    struct tls_pair pair = {certificate, key};
    struct tls_options serving = {
        .pairs = &pair, .pair_count = 1, .is_http = true, .tickets = tls_tickets_random(0)};
    struct tls_options dialing = {.ca = certificate};

    require(tls_context_serve(&server_side, &serving, error) == 0);
    require(tls_context_dial(&client_side, &dialing, error) == 0);
    tls_tickets_unref(serving.tickets);
    return 0;
}

static struct tls_session *make(bool is_server)
{
    return tls_session_create(is_server ? server_side : client_side,
                              is_server ? NULL : "localhost");
}

static bool is_known(ssize_t result)
{
    return result == UV_EAGAIN || result == UV_EPROTO || result == UV_EOF;
}

/* What comes of a handshake with a peer that says this and no more, a piece at a time. */
static int shake_with(bool is_server, const uint8_t *data, size_t size, size_t piece,
                      bool *met_http)
{
    struct tls_session *session = make(is_server);
    struct buffer output = {0};
    int result = tls_session_handshake(session, &output);

    while (size > 0 && result == UV_EAGAIN) {
        size_t part = piece < size ? piece : size;

        tls_session_feed(session, data, part);
        result = tls_session_handshake(session, &output);
        data += part;
        size -= part;
    }
    require(is_known(result));
    require(output.size <= OUTPUT_MOST);
    require(result == UV_EAGAIN || result == UV_EOF || tls_session_reason(session)[0] != '\0');
    *met_http = tls_session_met_http(session);
    buffer_deinit(&output);
    tls_session_destroy(session);
    return result;
}

static void stranger_is_met_the_same_in_pieces(bool is_server, const uint8_t *data, size_t size)
{
    bool met_http[2];
    int whole = shake_with(is_server, data, size, size, &met_http[0]);

    for (size_t piece = 1; piece < 300; piece *= 17) {
        require(shake_with(is_server, data, size, piece, &met_http[1]) == whole);
        require(met_http[0] == met_http[1]);
    }
}

/* What travels between two ends, and who meddles with it. */

struct meddler {
    const uint8_t *next; /* four bytes: where, where, how, cut */
    size_t left;
    size_t position; /* of the byte that travels next, modulo 2^16 */
};

struct end {
    struct tls_session *session;
    struct buffer sent; /* on its way to the other end */
    size_t wrote;
    size_t read;
    bool is_done; /* with the handshake */
    bool is_over; /* it failed, or was told goodbye */
};

static void meddle(struct meddler *meddler, unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++, meddler->position++) {
        if (meddler->left < 4 ||
            (meddler->position & 0xffff) != ((size_t)meddler->next[0] << 8 | meddler->next[1]))
            continue;
        bytes[i] ^= meddler->next[2];
        meddler->next += 4;
        meddler->left -= 4;
    }
}

static void take_text(struct end *end, const struct end *other)
{
    static unsigned char plain[TEXT_SIZE * 2];
    ssize_t size;

    while ((size = tls_session_read(end->session, plain, sizeof(plain), &end->sent)) > 0) {
        require(end->read + (size_t)size <= other->wrote);
        require(memcmp(plain, text + end->read, (size_t)size) == 0);
        end->read += (size_t)size;
    }
    require(is_known(size));
    end->is_over |= size != UV_EAGAIN;
}

static void receive(struct end *end, const struct end *other, const unsigned char *data,
                    size_t size)
{
    tls_session_feed(end->session, data, size);
    if (!end->is_done) {
        int result = tls_session_handshake(end->session, &end->sent);

        require(result == 0 || is_known(result));
        end->is_done = result == 0;
        end->is_over |= result != 0 && result != UV_EAGAIN;
    }
    if (end->is_done && !end->is_over)
        take_text(end, other);
}

/* What one has sent arrives at the other, in two parts. */
static void carry(struct meddler *meddler, struct end *from, struct end *to)
{
    struct buffer bytes = from->sent;
    size_t cut = meddler->left >= 4 ? meddler->next[3] : bytes.size;

    from->sent = (struct buffer){0};
    if (cut > bytes.size)
        cut = bytes.size;
    meddle(meddler, bytes.data, bytes.size);
    if (cut > 0 && !to->is_over)
        receive(to, from, bytes.data, cut);
    if (cut < bytes.size && !to->is_over)
        receive(to, from, bytes.data + cut, bytes.size - cut);
    require(to->sent.size <= OUTPUT_MOST);
    buffer_deinit(&bytes);
}

static void talk(struct end *end, size_t size)
{
    if (!end->is_done || end->is_over || end->wrote + size > TEXT_SIZE)
        return;
    if (tls_session_write(end->session, text + end->wrote, size, &end->sent) == 0)
        end->wrote += size;
}

static void nobody_reads_what_was_not_written(const uint8_t *data, size_t size)
{
    struct meddler meddler = {data, size, 0};
    struct end client = {.session = make(false)};
    struct end server = {.session = make(true)};

    require(tls_session_handshake(client.session, &client.sent) == UV_EAGAIN);
    for (unsigned round = 0; round < ROUNDS; round++) {
        carry(&meddler, &client, &server);
        carry(&meddler, &server, &client);
        talk(&client, 3000u + round);
        talk(&server, round % 2 ? 1 : 17000u);
    }
    if (size < 4) { /* nobody meddled */
        require(client.is_done && server.is_done && !client.is_over && !server.is_over);
        require(client.read > 17000 && server.read > 12000);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct end *end = i ? &server : &client;

        buffer_deinit(&end->sent);
        tls_session_destroy(end->session);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] < 2)
        stranger_is_met_the_same_in_pieces(data[0] == 0, data + 1, size - 1);
    else
        nobody_reads_what_was_not_written(data + 1, size - 1);
    return 0;
}
