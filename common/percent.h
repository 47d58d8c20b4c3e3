/* Percent-encoding in addresses (RFC 3986 §2.1). */
#ifndef COMMON_PERCENT_H
#define COMMON_PERCENT_H

/* Moves past one character or escape of a zero-terminated text that is not at its end, and returns
 * its byte; -1 where the escape is broken. */
int percent_decode(const char **text);

#endif
