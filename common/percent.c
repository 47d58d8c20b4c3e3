#include "common/percent.h"

static int hex_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

int percent_decode(const char **text)
{
    if (**text != '%')
        return (unsigned char)*(*text)++;

    int high = hex_digit((*text)[1]);
    int low = high < 0 ? -1 : hex_digit((*text)[2]);

    if (low < 0)
        return -1;
    *text += 3;
    return high * 16 + low;
}
