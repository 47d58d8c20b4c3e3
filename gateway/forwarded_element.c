/*
 * A line is read from its start, because quotes can only be told that way, and a proxy adds to the
 * end. Whoever opens a quote in the client's part spoils the line, which is why all of it is
 * refused then, and not only the part in front.
 */
#include "gateway/forwarded_element.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

/* RFC 9110 §5.6.2 */
static const char token_characters[] =
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

struct value {
    char *text; /* NULL: not one that we read */
    size_t limit;
    size_t size;
};

static void put(struct value *value, char character)
{
    if (value->text && value->size < value->limit)
        value->text[value->size] = character;
    value->size++;
}

/* RFC 9110 §5.6.4 */
static int read_quoted(const char **at, struct value *value)
{
    const char *next = *at + 1;

    for (; *next != '"'; next++) {
        if (*next == '\\')
            next++;
        if (*next == '\0')
            return UV_EINVAL;
        put(value, *next);
    }
    *at = next + 1;
    return 0;
}

/* Proxies write the colons and brackets of addresses without the quotes that they need, too. */
static int read_bare(const char **at, struct value *value)
{
    const char *start = *at;

    for (; **at != '\0' && (strchr(token_characters, **at) || strchr(":[]", **at)); ++*at)
        put(value, **at);
    return *at > start ? 0 : UV_EINVAL;
}

static struct value value_of(struct forwarded_element *element, const char *name, size_t size)
{
    const struct {
        const char *name;
        char *text;
        size_t limit;
    } known[] = {
        {"for", element->node, sizeof(element->node) - 1},
        {"proto", element->scheme, sizeof(element->scheme) - 1},
        {"host", element->host, sizeof(element->host) - 1},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i].name) == size && strncasecmp(known[i].name, name, size) == 0)
            return (struct value){.text = known[i].text, .limit = known[i].limit};
    }
    return (struct value){0};
}

static int read_pair(const char **at, struct forwarded_element *element)
{
    const char *name = *at;
    size_t size = strspn(name, token_characters);

    if (size == 0 || name[size] != '=')
        return UV_EINVAL;
    *at = name + size + 1;

    struct value value = value_of(element, name, size);

    if (value.text && value.text[0] != '\0') /* "MUST NOT occur more than once" */
        return UV_EINVAL;

    int error = **at == '"' ? read_quoted(at, &value) : read_bare(at, &value);

    if (!error && value.text)
        value.text[value.size <= value.limit ? value.size : 0] = '\0';
    return error;
}

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t");
}

/* Up to the comma behind it, or the end. */
static int read_element(const char **at, struct forwarded_element *element)
{
    *element = (struct forwarded_element){0};
    for (;;) {
        skip_blanks(at);
        if (**at != ';' && **at != ',' && **at != '\0') {
            int error = read_pair(at, element);

            if (error)
                return error;
            skip_blanks(at);
        }
        if (**at == ',' || **at == '\0')
            return 0;
        if (**at != ';')
            return UV_EINVAL;
        ++*at;
    }
}

int forwarded_elements_read(const char *line,
                            struct forwarded_element elements[FORWARDED_ELEMENT_COUNT])
{
    int count = 0;

    for (;; line++) {
        skip_blanks(&line);
        if (*line == '\0')
            return count;
        if (*line == ',') /* an empty item of a list is none (RFC 9110 §5.6.1) */
            continue;
        if (count >= FORWARDED_ELEMENT_COUNT)
            memmove(elements, elements + 1, (FORWARDED_ELEMENT_COUNT - 1) * sizeof(*elements));

        int index = count < FORWARDED_ELEMENT_COUNT ? count : FORWARDED_ELEMENT_COUNT - 1;
        int error = read_element(&line, &elements[index]);

        if (error)
            return error;
        count++;
        if (*line == '\0')
            return count;
    }
}
