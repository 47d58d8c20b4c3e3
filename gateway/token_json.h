/* JSON of tokens and key sets, which comes from anybody: bounded in depth, each key once. */
#ifndef GATEWAY_TOKEN_JSON_H
#define GATEWAY_TOKEN_JSON_H

#include <jansson.h>
#include <stddef.h>

#define TOKEN_JSON_DEPTH 32

/* An object that the caller frees with json_decref, or NULL: no JSON, no object, the same key
 * twice in an object (RFC 7519 §4), deeper than TOKEN_JSON_DEPTH. */
json_t *token_json_parse(const char *text, size_t size);

/* The value as JSON text on one line, which the caller frees with memory_free. Numbers keep their
 * value, and as few digits as that takes. */
char *token_json_print(const json_t *value, size_t *size);

#endif
