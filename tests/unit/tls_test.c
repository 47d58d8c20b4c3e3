/*
 * wss:// against a real server: a relay, which ends TLS with a certificate made here, in front of
 * the bare sender.
 */
#include "tests/unit/bare_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

struct relay {
    struct bare bare;
    pid_t pid;
    unsigned port;
    char url[64];
    char certificate[64]; /* file */
};

/* The relay's own processes: one that accepts, and one for each connection. */

static bool write_all(int fd, const unsigned char *data, ssize_t size)
{
    for (ssize_t sent = 0, more; sent < size; sent += more) {
        more = write(fd, data + sent, (size_t)(size - sent));
        if (more <= 0)
            return false;
    }
    return true;
}

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)port),
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : -1;
}

static void pass_on(SSL *tls, int server)
{
    struct pollfd ends[2] = {{SSL_get_fd(tls), POLLIN, 0}, {server, POLLIN, 0}};
    unsigned char bytes[40000]; /* more than a record */

    while (SSL_accept(tls) == 1 && poll(ends, 2, -1) > 0) {
        if (ends[0].revents) {
            int size = SSL_read(tls, bytes, sizeof(bytes));

            if (size <= 0 || !write_all(server, bytes, size))
                return;
        }
        if (ends[1].revents) {
            ssize_t size = read(server, bytes, sizeof(bytes));

            if (size <= 0 || SSL_write(tls, bytes, (int)size) != size)
                return;
        }
    }
}

static void serve(int listener, SSL_CTX *context, unsigned port)
{
    for (;;) {
        int client = accept(listener, NULL, NULL);
        pid_t parent = getpid();

        if (fork() != 0) {
            close(client);
            continue;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);

        SSL *tls = SSL_new(context);

        SSL_set_fd(tls, client);
        pass_on(tls, connect_to(port));
        _exit(0);
    }
}

/* A certificate for `name`, such as "IP:127.0.0.1", by itself; written to `file` for who trusts it.
 */
static SSL_CTX *certified_context(const char *name, char file[64])
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, name);

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    X509_add_ext(certificate, names, -1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);

    snprintf(file, 64, "/tmp/carillon-bench-XXXXXX");

    FILE *output = fdopen(mkstemp(file), "w");

    assert_int_equal(PEM_write_X509(output, certificate), 1);
    fclose(output);
    X509_EXTENSION_free(names);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static int listen_anywhere(struct relay *relay)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    relay->port = ntohs(address.sin_port);
    snprintf(relay->url, sizeof(relay->url), "wss://127.0.0.1:%u", relay->port);
    return listener;
}

static struct relay relay_start(const char *name, const char *fault)
{
    struct relay relay = {.bare = bare_start(fault)};
    SSL_CTX *context = certified_context(name, relay.certificate);
    int listener = listen_anywhere(&relay);

    relay.pid = fork();
    assert_true(relay.pid >= 0);
    if (relay.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGCHLD, SIG_IGN); /* nobody waits for a connection's process */
        serve(listener, context, relay.bare.port);
    }
    close(listener);
    SSL_CTX_free(context);
    setenv("SSL_CERT_FILE", relay.certificate, 1);
    return relay;
}

static void relay_stop(struct relay *relay)
{
    kill(relay->pid, SIGKILL);
    assert_int_equal(waitpid(relay->pid, NULL, 0), relay->pid);
    bare_stop(&relay->bare);
    unlink(relay->certificate);
    unsetenv("SSL_CERT_FILE");
}

static void assert_passes(const struct arguments *arguments)
{
    struct load_result *result = run_load(arguments);

    assert_string_equal(result->trouble, "");
    assert_int_equal(result->opened, arguments->clients);
    assert_int_equal(result->total.received, result->total.sent * arguments->clients);
    memory_free(result);
}

static void assert_fails(const struct arguments *arguments, uint32_t opened, const char *part)
{
    struct load_result *result = run_load(arguments);

    assert_int_equal(result->opened, opened);
    if (!strstr(result->trouble, part))
        fail_msg("\"%s\" is not in \"%s\"", part, result->trouble);
    memory_free(result);
}

static void messages_pass_through_tls(void **state)
{
    struct relay relay = relay_start("IP:127.0.0.1", "none");
    struct arguments arguments = small_load(relay.url);

    (void)state;
    arguments.publishers = 3;
    arguments.window = 16;
    arguments.messages = 1000;
    assert_passes(&arguments);
    relay_stop(&relay);
}

static void messages_of_many_records_pass_through_tls(void **state)
{
    struct relay relay = relay_start("IP:127.0.0.1", "none");
    struct arguments arguments = small_load(relay.url);

    (void)state;
    arguments.window = 4;
    arguments.size = 200000;
    arguments.messages = 40;
    assert_passes(&arguments);
    relay_stop(&relay);
}

static void certificate_that_nobody_vouches_for_is_refused(void **state)
{
    struct relay relay = relay_start("IP:127.0.0.1", "none");
    struct arguments arguments = small_load(relay.url);

    (void)state;
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    setenv("SSL_CERT_DIR", "/dev/null", 1);
    assert_fails(&arguments, 0, "certificate not accepted: self");
    unsetenv("SSL_CERT_DIR");
    relay_stop(&relay);
}

static void certificate_of_somebody_else_is_refused(void **state)
{
    struct relay relay = relay_start("DNS:elsewhere.test,IP:127.0.0.2", "none");
    struct arguments arguments = small_load(relay.url);

    (void)state;
    assert_fails(&arguments, 0, "certificate not accepted: IP address mismatch");
    relay_stop(&relay);
}

static void certificate_for_a_name_is_accepted(void **state)
{
    struct relay relay = relay_start("DNS:localhost", "none");
    char url[64];

    (void)state;
    snprintf(url, sizeof(url), "wss://localhost:%u", relay.port);

    struct arguments arguments = small_load(url);

    arguments.messages = 50;
    assert_passes(&arguments);
    relay_stop(&relay);
}

static void insecure_takes_any_certificate(void **state)
{
    struct relay relay = relay_start("DNS:elsewhere.test", "none");
    struct arguments arguments = small_load(relay.url);

    (void)state;
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    arguments.is_insecure = true;
    arguments.messages = 50;
    assert_passes(&arguments);
    relay_stop(&relay);
}

static void end_of_the_server_is_reported_through_tls(void **state)
{
    struct relay relay = relay_start("IP:127.0.0.1", "die");
    struct arguments arguments = small_load(relay.url);

    (void)state;
    arguments.duration_ns = 60000000000;
    assert_fails(&arguments, arguments.clients, "closed by the server without a close frame");
    relay_stop(&relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_pass_through_tls),
        cmocka_unit_test(messages_of_many_records_pass_through_tls),
        cmocka_unit_test(certificate_that_nobody_vouches_for_is_refused),
        cmocka_unit_test(certificate_of_somebody_else_is_refused),
        cmocka_unit_test(certificate_for_a_name_is_accepted),
        cmocka_unit_test(insecure_takes_any_certificate),
        cmocka_unit_test(end_of_the_server_is_reported_through_tls),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
