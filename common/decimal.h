/* Numbers in decimal digits, where printf's way of writing them would show: once for each message.
 */
#ifndef COMMON_DECIMAL_H
#define COMMON_DECIMAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DECIMAL_DIGITS 20 /* of UINT64_MAX */

/* Writes the digits, DECIMAL_DIGITS at most and no zero behind them; returns how many they are. */
static inline size_t decimal_write(char *digits, uint64_t number)
{
    char text[DECIMAL_DIGITS];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(digits, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}

#endif
