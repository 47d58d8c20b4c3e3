/*
 * Walks over text that json_check.h has accepted, and says where its parts lie: for those who need
 * the bytes that somebody wrote, which parsers do not keep (large integers, the order of members).
 * Given text that is no JSON it finds nonsense, but nothing outside of the text.
 */
#ifndef GATEWAY_JSON_WALK_H
#define GATEWAY_JSON_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/text.h"

/* What is left of an object. */
struct json_members {
    struct text rest;
};

/* False where the value is no object. */
bool json_members_init(struct json_members *members, struct text value);

/* The next member's name, with its quotes, and value, without blanks around it. False at the end.
 */
bool json_members_next(struct json_members *members, struct text *name, struct text *value);

/* What is left of an array. */
struct json_items {
    struct text rest;
};

/* False where the value is no array. */
bool json_items_init(struct json_items *items, struct text value);

/* The next item, without blanks around it. False at the end. */
bool json_items_next(struct json_items *items, struct text *value);

/* How many bytes follow that stand for themselves in a string: up to a quote, a backslash, or a
 * control character, which no string has in it. */
size_t json_plain_size(const char *text, size_t size);

/* True if the value is a string. */
bool json_value_is_string(struct text value);

/* Writes what a string (with its quotes) says to `target`, where as many bytes as it has fit in any
 * case: UTF-8, in which half of a surrogate pair is U+FFFD. Returns how many it took. */
size_t json_unescape(struct text string, char *target);

/* The text without the blanks around it. */
struct text json_trim(struct text json);

#endif
