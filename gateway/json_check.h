/*
 * Says whether text is JSON (RFC 8259), without making anything of it: most of what clients send is
 * payload that nobody here looks into.
 */
#ifndef GATEWAY_JSON_CHECK_H
#define GATEWAY_JSON_CHECK_H

#include <stdbool.h>

#include "common/text.h"

#define JSON_DEPTH_LIMIT 64 /* arrays and objects inside of each other */

/* True if the text is one value with nothing but blanks around it, in UTF-8, no deeper than the
 * limit, and without escapes that stand for half a character. Numbers may be of any size, and
 * members may come twice, which RFC 8259 allows. */
bool json_is_valid(struct text json);

#endif
