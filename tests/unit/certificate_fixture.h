/*
 * Certificates for tests, made while they run: an authority, and what it issues, as PEM files in a
 * directory of their own.
 */
#ifndef TESTS_CERTIFICATE_FIXTURE_H
#define TESTS_CERTIFICATE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_LIMIT 128
#define DAY        86400L

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
    char file[PATH_LIMIT];
};

static char certificate_directory[32];

static inline const char *in_directory(const char *name)
{
    static char paths[8][PATH_LIMIT];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, PATH_LIMIT, "%s/%.90s", certificate_directory, name);
    return path;
}

static inline void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void write_pem(const char *path, X509 *certificate, EVP_PKEY *key)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    if (certificate)
        assert_int_equal(PEM_write_X509(file, certificate), 1);
    if (key)
        assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

static inline void add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);

    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);

    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* A certificate that ends so many seconds from now, unsigned. */
static inline X509 *make_certificate(const char *name, long lifetime, EVP_PKEY *key)
{
    static long serial = 1;
    X509 *certificate = X509_new();

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY);
    X509_gmtime_adj(X509_getm_notAfter(certificate), lifetime);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    return certificate;
}

static inline void make_authority(struct authority *authority, const char *name)
{
    char file[64];

    authority->key = EVP_EC_gen("P-256");
    authority->certificate = make_certificate(name, DAY, authority->key);
    X509_set_issuer_name(authority->certificate, X509_get_subject_name(authority->certificate));
    add_extension(authority->certificate, authority->certificate, NID_basic_constraints,
                  "critical,CA:TRUE");
    assert_true(X509_sign(authority->certificate, authority->key, EVP_sha256()) > 0);
    snprintf(file, sizeof(file), "%s.pem", name);
    snprintf(authority->file, sizeof(authority->file), "%s", in_directory(file));
    write_pem(authority->file, authority->certificate, NULL);
}

static inline void free_authority(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

/* Issues NAME.pem and NAME.key for names such as "DNS:localhost,IP:127.0.0.1", with a key that is
 * the function's from here on. */
static inline void issue_for(const struct authority *authority, const char *name, const char *names,
                             long lifetime, EVP_PKEY *key)
{
    X509 *certificate = make_certificate(name, lifetime, key);
    char file[64];

    X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate));
    add_extension(certificate, authority->certificate, NID_subject_alt_name, names);
    assert_true(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
    snprintf(file, sizeof(file), "%s.pem", name);
    write_pem(in_directory(file), certificate, NULL);
    snprintf(file, sizeof(file), "%s.key", name);
    write_pem(in_directory(file), NULL, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static inline void issue(const struct authority *authority, const char *name, const char *names,
                         long lifetime)
{
    issue_for(authority, name, names, lifetime, EVP_EC_gen("P-256"));
}

static inline void make_certificate_directory(void)
{
    snprintf(certificate_directory, sizeof(certificate_directory), "/tmp/carillon-tls-XXXXXX");
    assert_non_null(mkdtemp(certificate_directory));
}

static inline void remove_certificate_directory(void)
{
    DIR *directory = opendir(certificate_directory);

    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        unlink(in_directory(entry->d_name));
    closedir(directory);
    rmdir(certificate_directory);
}

#endif
