#include "gateway/handshake.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <threads.h>
#include <uv.h>

#include "common/http_response.h"

/* RFC 6455 §1.3. */
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_SIZE    24 /* base64 of 16 bytes */
#define SHA1_SIZE   20
#define ACCEPT_SIZE 28 /* base64 of them */

#define USUAL_ANSWER_SIZE 256

static bool is_base64(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '+' || character == '/';
}

static bool is_key(const char *key)
{
    size_t size = 0;

    while (is_base64(key[size]))
        size++;
    /* 22 characters carry 132 bits. That the last four be zero is not asked: they are not in the
     * example of RFC 6455 §4.1 itself. */
    return size == KEY_SIZE - 2 && strcmp(key + size, "==") == 0;
}

/* Past `scheme://`, or NULL. */
static const char *after_scheme(const char *origin)
{
    const char *mark = strstr(origin, "://");

    return mark ? mark + 3 : NULL;
}

/* Length of host[:port] without a port that the scheme implies. */
static size_t significant_size(const char *scheme_of, const char *host)
{
    size_t size = strlen(host);

    if (strncasecmp(scheme_of, "https://", 8) == 0 && size > 4 &&
        strcmp(host + size - 4, ":443") == 0)
        return size - 4;
    if (strncasecmp(scheme_of, "http://", 7) == 0 && size > 3 &&
        strcmp(host + size - 3, ":80") == 0)
        return size - 3;
    return size;
}

/* What was asked for. Who came to us without TLS may have come by a proxy that ends it, whom we
 * were not told of and who does not say so; and a trusted one that says nothing may have TLS on one
 * side and none on the other. */
struct asked {
    const char *host;   /* with its port, if there was one; NULL: none was named */
    const char *scheme; /* NULL: it is not known */
};

static struct asked what_was_asked(const struct http_request *request,
                                   const struct forwarded *forwarded, bool is_tls)
{
    bool has_host = forwarded && forwarded->host[0] != '\0';

    return (struct asked){
        .host = has_host ? forwarded->host : http_request_header(request, "host"),
        .scheme = forwarded ? forwarded->scheme
                  : is_tls  ? "https"
                            : NULL,
    };
}

static bool is_same(const char *origin, const struct asked *asked)
{
    const char *origin_host = after_scheme(origin);
    const char *host = asked->host;

    if (!origin_host || !host)
        return false;
    if (asked->scheme) {
        size_t scheme_size = strlen(asked->scheme);

        if (strncasecmp(origin, asked->scheme, scheme_size) != 0 || origin[scheme_size] != ':')
            return false;
    }

    size_t size = significant_size(origin, origin_host);

    return size == significant_size(origin, host) && strncasecmp(origin_host, host, size) == 0;
}

/* True if `size` bytes of `host` can be what a star stands for: labels, and nothing that would end
 * the host before them. */
static bool are_labels(const char *host, size_t size)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

    return size > 0 && host[0] != '.' && strspn(host, alphabet) >= size;
}

static bool matches(const char *allowed, const char *origin, const struct asked *asked)
{
    const char *allowed_host = after_scheme(allowed);
    const char *origin_host = after_scheme(origin);

    if (strcmp(allowed, "*") == 0)
        return true;
    if (strcasecmp(allowed, "same") == 0)
        return is_same(origin, asked);
    if (!allowed_host || !origin_host)
        return strcasecmp(allowed, origin) == 0; /* "null", the origin of a file */
    if (allowed_host - allowed != origin_host - origin ||
        strncasecmp(allowed, origin, (size_t)(origin_host - origin)) != 0)
        return false;

    size_t allowed_size = significant_size(allowed, allowed_host);
    size_t origin_size = significant_size(origin, origin_host);

    if (strncmp(allowed_host, "*.", 2) != 0)
        return allowed_size == origin_size &&
               strncasecmp(allowed_host, origin_host, origin_size) == 0;
    allowed_host++;
    allowed_size--;
    return origin_size > allowed_size && are_labels(origin_host, origin_size - allowed_size) &&
           strncasecmp(origin_host + origin_size - allowed_size, allowed_host, allowed_size) == 0;
}

bool handshake_is_origin_pattern(const char *text)
{
    const char *host = after_scheme(text);

    if (!host)
        return strcmp(text, "*") == 0 || strcasecmp(text, "same") == 0 ||
               strcasecmp(text, "null") == 0;
    if (host == text + 3)
        return false;
    if (strncmp(host, "*.", 2) == 0)
        host += 2;
    return host[0] != '\0' && !strpbrk(host, "/*?#@ \t");
}

bool handshake_allows_origin(const struct http_request *request,
                             const struct option_list *allowed_origins,
                             const struct forwarded *forwarded, bool is_tls)
{
    const char *origin = http_request_header(request, "origin");

    if (!origin) /* none, or several */
        return http_request_header_count(request, "origin") == 0;

    struct asked asked = what_was_asked(request, forwarded, is_tls);

    for (size_t i = 0; i < allowed_origins->count; i++) {
        if (matches(allowed_origins->items[i], origin, &asked))
            return true;
    }
    return false;
}

int handshake_check(const struct http_request *request, const struct option_list *allowed_origins,
                    const struct forwarded *forwarded, bool is_tls, const char **message)
{
    const char *host = http_request_header(request, "host");
    const char *version = http_request_header(request, "sec-websocket-version");
    const char *key = http_request_header(request, "sec-websocket-key");

    *message = "the handshake needs one Host header";
    if (host ? host[0] == '\0' : !http_request_names_host(request))
        return 400;
    if (strcmp(request->method, "GET") != 0) {
        *message = "a WebSocket handshake is a GET";
        return 405;
    }
    if (!http_request_header_has_token(request, "upgrade", "websocket")) {
        *message = "this is a WebSocket: send Upgrade: websocket";
        return 426;
    }
    *message = "the handshake needs HTTP/1.1";
    if (request->minor_version < 1)
        return 400;
    *message = "the handshake needs Connection: Upgrade";
    if (!request->is_upgrade)
        return 400;
    *message = "the handshake needs one Sec-WebSocket-Version"; /* §11.3.5 */
    if (!version && http_request_header_count(request, "sec-websocket-version") > 1)
        return 400;
    *message = "this server speaks version 13";
    if (!version || strcmp(version, "13") != 0)
        return 426;
    *message = "the handshake needs one Sec-WebSocket-Key of 16 bytes in base64";
    if (!key || !is_key(key))
        return 400;
    *message = "this page's origin may not connect";
    if (!handshake_allows_origin(request, allowed_origins, forwarded, is_tls))
        return 403;
    return 101;
}

static void append_header(struct buffer *output, const char *name, const char *value)
{
    buffer_append_text(output, name);
    buffer_append_text(output, ": ");
    buffer_append_text(output, value);
    buffer_append_text(output, "\r\n");
}

static EVP_MD *sha1;
static tss_t contexts;

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

static void prepare_sha1(void)
{
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    if (tss_create(&contexts, free_context) != thrd_success)
        abort();
}

/* For so few bytes OpenSSL takes longer to find an algorithm, and to make a context for it, than
 * for the digest: it is found once, and each thread keeps its context. */
static EVP_MD_CTX *sha1_context(void)
{
    static uv_once_t once = UV_ONCE_INIT;
    EVP_MD_CTX *context;

    uv_once(&once, prepare_sha1);
    context = tss_get(contexts);
    if (!context) {
        context = EVP_MD_CTX_new();
        tss_set(contexts, context);
    }
    return context;
}

static void digest_key(const char *key, unsigned char digest[EVP_MAX_MD_SIZE])
{
    EVP_MD_CTX *context = sha1_context();
    char text[KEY_SIZE + sizeof(ACCEPT_GUID)];

    memcpy(text, key, KEY_SIZE);
    memcpy(text + KEY_SIZE, ACCEPT_GUID, sizeof(ACCEPT_GUID));
    EVP_DigestInit_ex2(context, sha1, NULL);
    EVP_DigestUpdate(context, text, sizeof(text) - 1);
    EVP_DigestFinal_ex(context, digest, NULL);
}

void handshake_append_accept(const struct http_request *request, const char *subprotocol,
                             const char *extensions, struct buffer *output)
{
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Accept: ";
    unsigned char digest[EVP_MAX_MD_SIZE];

    digest_key(http_request_header(request, "sec-websocket-key"), digest);
    buffer_reserve(output, USUAL_ANSWER_SIZE);
    buffer_append(output, head, sizeof(head) - 1);
    buffer_reserve(output, ACCEPT_SIZE + 1);
    output->size += (size_t)EVP_EncodeBlock(output->data + output->size, digest, SHA1_SIZE);
    buffer_append(output, "\r\n", 2);
    if (subprotocol)
        append_header(output, "Sec-WebSocket-Protocol", subprotocol);
    if (extensions[0] != '\0')
        append_header(output, "Sec-WebSocket-Extensions", extensions);
    buffer_append(output, "\r\n", 2);
}

void handshake_append_refusal(const struct http_request *request, int status, const char *message,
                              struct buffer *output)
{
    /* A second Connection line, because Upgrade must be named in one (RFC 9110 §7.8). */
    static const char upgrade[] =
        "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    const char *headers = status == 426 ? upgrade : status == 405 ? "Allow: GET\r\n" : NULL;

    http_response_append_error(output, status, headers, message, http_request_is_head(request),
                               false);
}
