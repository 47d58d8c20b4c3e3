#include "common/http_notes.h"

void http_notes_add(struct http_notes *notes, const struct http_header *header, int minor_version)
{
    if (http_header_is(header, "Connection")) {
        notes->says_close |= http_list_has_token(header->value, "close");
        notes->says_keep_alive |=
            minor_version == 0 && http_list_has_token(header->value, "keep-alive");
        notes->says_upgrade |= http_list_has_token(header->value, "upgrade");
    } else if (http_header_is(header, "Upgrade")) {
        notes->has_upgrade = true;
    } else if (http_header_is(header, "Content-Length")) {
        notes->lengths++;
    } else if (http_header_is(header, "Transfer-Encoding")) {
        notes->encodings++;
    }
}
