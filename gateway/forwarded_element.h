/*
 * Forwarded (RFC 7239 §4) as its parts: a header line in, its elements out. An element is what one
 * proxy says of one request.
 */
#ifndef GATEWAY_FORWARDED_ELEMENT_H
#define GATEWAY_FORWARDED_ELEMENT_H

#include <stddef.h>

/* Elements of one line that are kept: the last ones, since nobody stands behind more proxies. */
#define FORWARDED_ELEMENT_COUNT 16

/* Values, unquoted; "" where there is none, and where it is longer than any that means something.
 */
struct forwarded_element {
    char node[64];  /* for= */
    char scheme[8]; /* proto= */
    char host[256];
};

/*
 * Parses a whole line. Returns how many elements it has, of which `elements` receives the last
 * FORWARDED_ELEMENT_COUNT at most, in the order of the line; UV_EINVAL for a line that is no
 * Forwarded, all of which is then not to be believed.
 */
int forwarded_elements_read(const char *line,
                            struct forwarded_element elements[FORWARDED_ELEMENT_COUNT]);

#endif
