/* What the headers of a request say of the connection and of a body, noted in one walk. */
#ifndef COMMON_HTTP_NOTES_H
#define COMMON_HTTP_NOTES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/http_request.h"

/* Zeros before the first header. */
struct http_notes {
    size_t lengths;       /* headers Content-Length */
    size_t encodings;     /* headers Transfer-Encoding */
    bool has_upgrade;     /* a header Upgrade */
    bool says_close;      /* these in Connection (RFC 9112 §9.3, RFC 9110 §7.8) */
    bool says_keep_alive; /* which HTTP/1.0 alone has to say, and is asked for */
    bool says_upgrade;
};

/* The next header of a request of HTTP/1.`minor_version`. */
void http_notes_add(struct http_notes *notes, const struct http_header *header, int minor_version);

#endif
