#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <uv.h>

#include "common/base64.h"

static void expect(enum base64_alphabet alphabet, const char *text, const char *bytes)
{
    unsigned char out[64];
    size_t size;

    assert_int_equal(base64_decode(alphabet, text, strlen(text), out, &size), 0);
    assert_int_equal(size, strlen(bytes));
    assert_memory_equal(out, bytes, size);
}

static void expect_refused(enum base64_alphabet alphabet, const char *text)
{
    unsigned char out[64];
    size_t size;

    assert_int_equal(base64_decode(alphabet, text, strlen(text), out, &size), UV_EINVAL);
}

/* RFC 4648 §10 */
static void texts_of_the_rfc_are_read(void **state)
{
    (void)state;
    expect(BASE64_STANDARD, "", "");
    expect(BASE64_STANDARD, "Zg==", "f");
    expect(BASE64_STANDARD, "Zm8=", "fo");
    expect(BASE64_STANDARD, "Zm9v", "foo");
    expect(BASE64_STANDARD, "Zm9vYg==", "foob");
    expect(BASE64_URL, "", "");
    expect(BASE64_URL, "Zg", "f");
    expect(BASE64_URL, "Zm8", "fo");
    expect(BASE64_URL, "Zm9vYmFy", "foobar");
}

static void alphabets_differ_in_two_letters(void **state)
{
    (void)state;
    expect(BASE64_STANDARD, "+/+/", "\xfb\xff\xbf");
    expect(BASE64_URL, "-_-_", "\xfb\xff\xbf");
    expect_refused(BASE64_STANDARD, "-_-_");
    expect_refused(BASE64_URL, "+/+/");
}

static void padding_is_needed_or_forbidden(void **state)
{
    (void)state;
    expect_refused(BASE64_STANDARD, "Zg");
    expect_refused(BASE64_STANDARD, "Zg=");
    expect_refused(BASE64_STANDARD, "Zg===");
    expect_refused(BASE64_STANDARD, "Zg=====");
    expect_refused(BASE64_STANDARD, "====");
    expect_refused(BASE64_STANDARD, "==");
    expect_refused(BASE64_STANDARD, "Zg==Zg==");
    expect_refused(BASE64_STANDARD, "Z===");
    expect_refused(BASE64_URL, "Zg==");
    expect_refused(BASE64_URL, "Zm8=");
}

static void junk_is_refused(void **state)
{
    (void)state;
    expect_refused(BASE64_URL, "Z");
    expect_refused(BASE64_URL, "Zm9vY");
    expect_refused(BASE64_URL, "Zm 8");
    expect_refused(BASE64_URL, "Zm8\n");
    expect_refused(BASE64_URL, "Zm\xc3\xa4");
    expect_refused(BASE64_STANDARD, "Zm9v\nZm9v\n\n\n");
}

/* Else one text could be written in many ways. */
static void bits_that_say_nothing_are_zero(void **state)
{
    (void)state;
    expect_refused(BASE64_URL, "Zh");
    expect_refused(BASE64_URL, "Zm9");
    expect_refused(BASE64_STANDARD, "Zh==");
    expect_refused(BASE64_STANDARD, "Zm9=");
}

static void what_openssl_writes_is_read(void **state)
{
    unsigned char bytes[100];
    unsigned char text[200];
    unsigned char out[BASE64_DECODED_LIMIT(200)];
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    for (size_t length = 0; length <= sizeof(bytes); length++) {
        int written = EVP_EncodeBlock(text, bytes, (int)length);

        assert_int_equal(
            base64_decode(BASE64_STANDARD, (const char *)text, (size_t)written, out, &size), 0);
        assert_int_equal(size, length);
        assert_memory_equal(out, bytes, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_the_rfc_are_read),
        cmocka_unit_test(alphabets_differ_in_two_letters),
        cmocka_unit_test(padding_is_needed_or_forbidden),
        cmocka_unit_test(junk_is_refused),
        cmocka_unit_test(bits_that_say_nothing_are_zero),
        cmocka_unit_test(what_openssl_writes_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
