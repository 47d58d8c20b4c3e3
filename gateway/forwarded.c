#include "gateway/forwarded.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/address.h"
#include "common/http_syntax.h"
#include "gateway/forwarded_element.h"

#define NODE_LIMIT 63 /* characters of an address with brackets and port, with room to spare */

/* The items of all headers of one name as one list (RFC 9110 §5.3), from its end. */
struct backwards {
    const struct http_request *request;
    const char *name;
    size_t header;     /* the one being read; those behind it are done */
    const char *value; /* of that header; NULL before it is looked for */
    size_t size;       /* of the part that is not read yet */
};

static struct backwards backwards_of(const struct http_request *request, const char *name)
{
    return (struct backwards){.request = request, .name = name, .header = request->header_count};
}

/* The next header towards the front, as a whole; NULL: there is none. */
static const char *previous_header(struct backwards *list)
{
    while (list->header > 0) {
        const struct http_header *header = &list->request->headers[--list->header];

        if (strcasecmp(header->name, list->name) == 0)
            return header->value;
    }
    return NULL;
}

/* The next item towards the front without the blanks around it; NULL: there is none. */
static const char *previous_item(struct backwards *list, size_t *size)
{
    if (!list->value) {
        list->value = previous_header(list);
        if (!list->value)
            return NULL;
        list->size = strlen(list->value);
    }

    const char *end = list->value + list->size;
    const char *start = end;

    while (start > list->value && start[-1] != ',')
        start--;
    if (start == list->value)
        list->value = NULL;
    else
        list->size = (size_t)(start - list->value) - 1;
    start += strspn(start, " \t");
    while (end > start && http_is_blank(end[-1]))
        end--;
    *size = end > start ? (size_t)(end - start) : 0;
    return start;
}

static bool is_port(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size <= 5 && strspn(text, "0123456789") == size && atoi(text) <= 65535;
}

/*
 * `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`. A port that
 * is none (RFC 7239 §6.3 lets proxies hide it) is one that is not known.
 */
static int parse_node(const char *text, size_t size, struct sockaddr_storage *address)
{
    char node[NODE_LIMIT + 1];

    if (size == 0 || size > NODE_LIMIT)
        return UV_EINVAL;
    memcpy(node, text, size);
    node[size] = '\0';

    bool is_bracketed = node[0] == '[';
    char *close = is_bracketed ? strchr(node, ']') : NULL;
    char *colon = close ? close + 1 : strchr(node, ':');
    sa_family_t family = is_bracketed ? AF_INET6 : AF_INET;
    struct sockaddr_storage found;
    unsigned port = 0;

    if (is_bracketed && (!close || (*colon != ':' && *colon != '\0')))
        return UV_EINVAL;
    if (!is_bracketed && colon && strchr(colon + 1, ':')) {
        family = AF_INET6; /* all of it, without a port */
    } else if (colon && *colon == ':') {
        if (colon[1] == '\0')
            return UV_EINVAL;
        if (is_port(colon + 1))
            port = (unsigned)atoi(colon + 1);
        *colon = '\0';
    }
    if (is_bracketed)
        *close = '\0';
    if (address_parse_host(node + is_bracketed, port, &found) || found.ss_family != family)
        return UV_EINVAL;
    *address = found;
    return 0;
}

/* Browsers come by ws and wss, and some proxies say so. */
static const char *scheme_of(const char *text, size_t size)
{
    static const struct {
        const char *text;
        const char *scheme;
    } known[] = {{"http", "http"}, {"https", "https"}, {"ws", "http"}, {"wss", "https"}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i].text) == size && strncasecmp(known[i].text, text, size) == 0)
            return known[i].scheme;
    }
    return NULL;
}

/* Nothing that is no host gets as far as the origin check. */
static void take_host(struct forwarded *forwarded, const char *text, size_t size)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:[]";

    if (size > FORWARDED_HOST_LIMIT || strspn(text, alphabet) < size)
        return;
    memcpy(forwarded->host, text, size);
    forwarded->host[size] = '\0';
}

static bool is_trusted(const struct networks *trusted, const struct forwarded *forwarded)
{
    return networks_contain(trusted, (const struct sockaddr *)&forwarded->address);
}

/*
 * The item that the proxy has written which wrote the client's address, `distance` proxies before
 * the nearest. A proxy that sets a header anew, in place of adding to it, leaves a shorter list,
 * whose first item is from the client's side.
 */
static const char *item_at(const struct http_request *request, const char *name, size_t distance,
                           size_t *size)
{
    struct backwards list = backwards_of(request, name);
    const char *found = NULL;
    const char *item;
    size_t item_size;

    while ((item = previous_item(&list, &item_size))) {
        found = item;
        *size = item_size;
        if (distance-- == 0)
            break;
    }
    return found;
}

static void read_x(const struct http_request *request, const struct networks *trusted,
                   struct forwarded *forwarded)
{
    struct backwards list = backwards_of(request, "X-Forwarded-For");
    size_t distance = 0;
    const char *item;
    size_t size;

    while (is_trusted(trusted, forwarded) && (item = previous_item(&list, &size)) &&
           parse_node(item, size, &forwarded->address) == 0)
        distance++;
    distance -= distance > 0;

    const char *scheme = item_at(request, "X-Forwarded-Proto", distance, &size);

    if (scheme)
        forwarded->scheme = scheme_of(scheme, size);

    const char *host = item_at(request, "X-Forwarded-Host", distance, &size);

    if (host)
        take_host(forwarded, host, size);
}

/* False where the way ends. */
static bool follow(struct forwarded *forwarded, const struct forwarded_element *element)
{
    forwarded->scheme = scheme_of(element->scheme, strlen(element->scheme));
    forwarded->host[0] = '\0';
    take_host(forwarded, element->host, strlen(element->host));
    return parse_node(element->node, strlen(element->node), &forwarded->address) == 0;
}

static void read_standard(const struct http_request *request, const struct networks *trusted,
                          struct forwarded *forwarded)
{
    struct backwards list = backwards_of(request, "Forwarded");
    struct forwarded_element elements[FORWARDED_ELEMENT_COUNT];
    const char *line;

    while ((line = previous_header(&list))) {
        int count = forwarded_elements_read(line, elements);
        int index = count < FORWARDED_ELEMENT_COUNT ? count : FORWARDED_ELEMENT_COUNT;

        if (count < 0)
            return;
        while (index > 0) {
            if (!is_trusted(trusted, forwarded) || !follow(forwarded, &elements[--index]))
                return;
        }
        if (count > FORWARDED_ELEMENT_COUNT)
            return;
    }
}

void forwarded_read(const struct http_request *request, const struct networks *trusted,
                    enum forwarded_family family, const struct sockaddr *peer,
                    struct forwarded *forwarded)
{
    *forwarded = (struct forwarded){0};
    memcpy(&forwarded->address, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    if (!is_trusted(trusted, forwarded))
        return;
    if (family == FORWARDED_X)
        read_x(request, trusted, forwarded);
    else
        read_standard(request, trusted, forwarded);
}
