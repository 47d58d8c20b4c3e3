#include "gateway/deflate_offer.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define EXTENSION       "permessage-deflate"
#define WIDEST_BITS     15
#define NARROWEST_BITS  9 /* that zlib can compress with */
#define NARROWEST_OFFER 8

/* A value longer than any that is known is kept as far as to see that it is none of those. */
#define VALUE_LIMIT 3

enum parameter {
    SERVER_NO_CONTEXT_TAKEOVER,
    CLIENT_NO_CONTEXT_TAKEOVER,
    SERVER_MAX_WINDOW_BITS,
    CLIENT_MAX_WINDOW_BITS,
    PARAMETERS,
};

static const char *const parameter_names[PARAMETERS] = {
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
};

struct value {
    bool is_there;
    size_t size;
    char bytes[VALUE_LIMIT];
};

struct offer {
    bool is_ours;
    bool is_bad; /* of ours, and not to be accepted */
    bool has[PARAMETERS];
    unsigned server_bits;
};

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

/* The token at `*at`, which is moved past it; empty where there is none. */
static struct text take_token(const char **at)
{
    static const char alphabet[] =
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    struct text token = {*at, strspn(*at, alphabet)};

    *at += token.size;
    return token;
}

static void add_to_value(struct value *value, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && value->size < VALUE_LIMIT; i++)
        value->bytes[value->size++] = bytes[i];
}

/* What is quoted must be a token, too, once it is not quoted any more (RFC 6455 §9.1). */
static int take_quoted(const char **at, struct value *value)
{
    bool is_empty = true;

    ++*at;
    while (**at != '"') {
        struct text token;

        if (**at == '\\')
            ++*at;
        token = take_token(at);
        if (token.size == 0)
            return UV_EINVAL;
        add_to_value(value, token.data, token.size);
        is_empty = false;
    }
    ++*at;
    return is_empty ? UV_EINVAL : 0;
}

static int take_value(const char **at, struct value *value)
{
    struct text token;

    value->is_there = true;
    if (**at == '"')
        return take_quoted(at, value);
    token = take_token(at);
    add_to_value(value, token.data, token.size);
    return token.size > 0 ? 0 : UV_EINVAL;
}

/* A window as a power of two: 8 to 15, without a zero before it. 0: it is none. */
static unsigned window_bits(const struct value *value)
{
    unsigned bits = 0;

    if (value->size == 0 || value->size >= VALUE_LIMIT || value->bytes[0] == '0')
        return 0;
    for (size_t i = 0; i < value->size; i++) {
        if (value->bytes[i] < '0' || value->bytes[i] > '9')
            return 0;
        bits = bits * 10 + (unsigned)(value->bytes[i] - '0');
    }
    return bits >= NARROWEST_OFFER && bits <= WIDEST_BITS ? bits : 0;
}

/* Whether the value is one that this parameter may have. */
static bool is_value_of(enum parameter parameter, const struct value *value)
{
    switch (parameter) {
    case SERVER_MAX_WINDOW_BITS:
        return value->is_there && window_bits(value) > 0;
    case CLIENT_MAX_WINDOW_BITS:
        return !value->is_there || window_bits(value) > 0;
    default:
        return !value->is_there;
    }
}

/* A parameter that is unknown, comes twice, or has a value that it may not have makes the offer one
 * to decline (RFC 7692 §7). */
static void note(struct offer *offer, struct text name, const struct value *value)
{
    int parameter = 0;

    while (parameter < PARAMETERS && !text_is(name, parameter_names[parameter]))
        parameter++;
    if (parameter == PARAMETERS || offer->has[parameter] ||
        !is_value_of((enum parameter)parameter, value)) {
        offer->is_bad = true;
        return;
    }
    offer->has[parameter] = true;
    if (parameter == SERVER_MAX_WINDOW_BITS)
        offer->server_bits = window_bits(value);
}

static int take_parameter(const char **at, struct offer *offer)
{
    struct value value = {0};
    struct text name;
    int error = 0;

    *at = skip_space(*at);
    name = take_token(at);
    if (name.size == 0)
        return UV_EINVAL;
    *at = skip_space(*at);
    if (**at == '=') {
        *at = skip_space(*at + 1);
        error = take_value(at, &value);
        *at = skip_space(*at);
    }
    if (!error)
        note(offer, name, &value);
    return error;
}

/* An extension and its parameters, up to a comma or the end. */
static int take_offer(const char **at, struct offer *offer)
{
    struct text name = take_token(at);
    int error = name.size > 0 ? 0 : UV_EINVAL;

    *offer = (struct offer){.is_ours = text_is(name, EXTENSION)};
    *at = skip_space(*at);
    while (!error && **at == ';') {
        ++*at;
        error = take_parameter(at, offer);
    }
    return !error && **at != ',' && **at != '\0' ? UV_EINVAL : error;
}

static bool is_acceptable(const struct offer *offer)
{
    return offer->is_ours && !offer->is_bad &&
           (offer->server_bits == 0 || offer->server_bits >= NARROWEST_BITS);
}

/* A limit that was asked for is confirmed; that both keep nothing is said in any case. */
static enum deflate_window take_up(const struct offer *offer, char answer[DEFLATE_ANSWER_LIMIT])
{
    bool is_narrow = offer->server_bits > 0 && offer->server_bits < WIDEST_BITS;
    int size = snprintf(answer, DEFLATE_ANSWER_LIMIT, "%s; %s; %s", EXTENSION,
                        parameter_names[SERVER_NO_CONTEXT_TAKEOVER],
                        parameter_names[CLIENT_NO_CONTEXT_TAKEOVER]);

    if (offer->server_bits > 0)
        snprintf(answer + size, DEFLATE_ANSWER_LIMIT - (size_t)size, "; %s=%d",
                 parameter_names[SERVER_MAX_WINDOW_BITS], is_narrow ? NARROWEST_BITS : WIDEST_BITS);
    return is_narrow ? DEFLATE_NARROW : DEFLATE_WIDE;
}

/* The offers of one header, of which any may be empty (RFC 9110 §5.6.1.2). */
static int read_offers(const char *at, enum deflate_window *window,
                       char answer[DEFLATE_ANSWER_LIMIT])
{
    int error = 0;

    while (!error) {
        struct offer offer;

        at += strspn(at, " \t,");
        if (*at == '\0')
            break;
        error = take_offer(&at, &offer);
        if (!error && *window == DEFLATE_OFF && is_acceptable(&offer))
            *window = take_up(&offer, answer);
    }
    return error;
}

int deflate_negotiate(const struct http_request *request, enum deflate_window *window,
                      char answer[DEFLATE_ANSWER_LIMIT])
{
    int error = 0;

    *window = DEFLATE_OFF;
    answer[0] = '\0';
    for (size_t i = 0; i < request->header_count && !error; i++) {
        if (http_header_is(&request->headers[i], "sec-websocket-extensions"))
            error = read_offers(request->headers[i].value, window, answer);
    }
    return error;
}
