/*
 * What the links of a host hold together: bytes that wait for the other side, and frames that have
 * not arrived whole. Where that is more than they may (`links_limit` of the identity), the link
 * that holds most is closed: whoever reads too slowly or sends halves of large frames goes before
 * anybody who does neither.
 */
#ifndef COMMON_ROUTER_LINK_MEMORY_H
#define COMMON_ROUTER_LINK_MEMORY_H

#include "common/router_link.h"

/* So many bytes were read, or written to a link. Looks at all links once that is a good part of the
 * limit, so that it costs nothing to speak of. May close any link. */
void router_link_memory_charge(struct router_link_host *host, size_t bytes);

/* Looks at all links, and counts what they hold in `host->held_bytes`. */
void router_link_memory_weigh(struct router_link_host *host);

#endif
