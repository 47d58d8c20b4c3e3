/*
 * The section numbers are those of proxy-protocol.txt. Its §2 forbids to guess whether a connection
 * begins with a header; whoever calls this knows that it must.
 */
#include "gateway/proxy_header.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/address.h"

#define LINE_LIMIT 107 /* §2.1, CRLF included */
#define FIXED_SIZE 16  /* §2.2: signature, version and command, family, length */

static const unsigned char signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static const char line_start[] = "PROXY ";

/* §2.2, the 13th and 14th byte */
enum { LOCAL = 0x20, PROXY = 0x21 };
enum { UNSPEC = 0x00, TCP4 = 0x11, TCP6 = 0x21, UNIX_STREAM = 0x31 };
enum { TCP4_SIZE = 12, TCP6_SIZE = 36, UNIX_SIZE = 216 };

static bool begins_with(const unsigned char *data, size_t size, const void *start,
                        size_t start_size)
{
    return memcmp(data, start, size < start_size ? size : start_size) == 0;
}

/* Cuts the next word off a line of words with one space between them; NULL: there is none. */
static char *next_word(char **line)
{
    char *word = *line;
    char *end = word ? strchr(word, ' ') : NULL;

    *line = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    return word && word[0] != '\0' ? word : NULL;
}

static int parse_port(const char *text, unsigned *port)
{
    size_t size = strlen(text);

    if (size == 0 || size > 5 || strspn(text, "0123456789") != size || (text[0] == '0' && size > 1))
        return UV_EPROTO;
    *port = (unsigned)strtoul(text, NULL, 10);
    return *port <= 65535 ? 0 : UV_EPROTO;
}

static int parse_address(sa_family_t family, const char *host, const char *port_text,
                         struct sockaddr_storage *address)
{
    unsigned port;

    if (parse_port(port_text, &port) || address_parse_host(host, port, address) ||
        address->ss_family != family)
        return UV_EPROTO;
    return 0;
}

/* `PROXY TCP4 source destination port port`, without its CRLF. */
static int parse_line(char *line, struct sockaddr_storage *source)
{
    char *rest = line + strlen(line_start);
    const char *protocol = next_word(&rest);
    struct sockaddr_storage destination;

    if (!protocol)
        return UV_EPROTO;
    if (strcmp(protocol, "UNKNOWN") == 0) /* whatever follows is to be ignored */
        return 0;
    if (strcmp(protocol, "TCP4") != 0 && strcmp(protocol, "TCP6") != 0)
        return UV_EPROTO;

    sa_family_t family = protocol[3] == '4' ? AF_INET : AF_INET6;
    const char *words[4];

    for (size_t i = 0; i < 4; i++) {
        words[i] = next_word(&rest);
        if (!words[i])
            return UV_EPROTO;
    }
    if (rest || parse_address(family, words[0], words[2], source) ||
        parse_address(family, words[1], words[3], &destination))
        return UV_EPROTO;
    return 0;
}

static int read_line(const unsigned char *data, size_t size, struct sockaddr_storage *source)
{
    const unsigned char *end = memchr(data, '\n', size < LINE_LIMIT ? size : LINE_LIMIT);
    size_t line_size = end ? (size_t)(end - data) + 1 : size;
    char line[LINE_LIMIT];

    if (memchr(data, '\0', line_size < LINE_LIMIT ? line_size : LINE_LIMIT))
        return UV_EPROTO;
    if (!end)
        return size < LINE_LIMIT ? 0 : UV_E2BIG;
    if (end[-1] != '\r')
        return UV_EPROTO;
    memcpy(line, data, line_size - 2);
    line[line_size - 2] = '\0';

    int error = parse_line(line, source);

    return error ? error : (int)line_size;
}

static int take_addresses(unsigned char family, const unsigned char *data, size_t size,
                          struct sockaddr_storage *source)
{
    struct sockaddr_in *in = (struct sockaddr_in *)source;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)source;

    switch (family) {
    case UNSPEC:
        return 0;
    case UNIX_STREAM:
        return size >= UNIX_SIZE ? 0 : UV_EPROTO;
    case TCP4:
        if (size < TCP4_SIZE)
            return UV_EPROTO;
        source->ss_family = AF_INET;
        memcpy(&in->sin_addr, data, 4);
        memcpy(&in->sin_port, data + 8, 2);
        return 0;
    case TCP6:
        if (size < TCP6_SIZE)
            return UV_EPROTO;
        source->ss_family = AF_INET6;
        memcpy(&in6->sin6_addr, data, 16);
        memcpy(&in6->sin6_port, data + 32, 2);
        return 0;
    default: /* datagrams, and what nobody has defined: "must be rejected" */
        return UV_EPROTO;
    }
}

static int read_binary(const unsigned char *data, size_t size, struct sockaddr_storage *source)
{
    if (size > 12 && data[12] != LOCAL && data[12] != PROXY)
        return UV_EPROTO;
    if (size < FIXED_SIZE)
        return 0;

    size_t rest = (size_t)data[14] << 8 | data[15];

    if (FIXED_SIZE + rest > PROXY_HEADER_LIMIT)
        return UV_E2BIG;
    if (size < FIXED_SIZE + rest)
        return 0;

    int error = data[12] == PROXY ? take_addresses(data[13], data + FIXED_SIZE, rest, source) : 0;

    return error ? error : (int)(FIXED_SIZE + rest);
}

int proxy_header_read(const unsigned char *data, size_t size, struct sockaddr_storage *source)
{
    *source = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (size == 0)
        return 0;
    if (begins_with(data, size, line_start, strlen(line_start)))
        return read_line(data, size, source);
    if (begins_with(data, size, signature, sizeof(signature)))
        return read_binary(data, size, source);
    return UV_EPROTO;
}
