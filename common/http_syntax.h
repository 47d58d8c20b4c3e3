/* What the pieces of an HTTP head may be made of, where the parser asks less of them. */
#ifndef COMMON_HTTP_SYNTAX_H
#define COMMON_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 9110 §5.6.2 */
bool http_is_token_character(unsigned char character);
bool http_is_token(const unsigned char *text, size_t size);

/* Every line ends in CRLF, none begins with white space (RFC 9112 §2.2, §5.2), and there are no
 * other control characters than tabs. */
bool http_has_strict_lines(const unsigned char *text, size_t size);

#endif
