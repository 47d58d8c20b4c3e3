/*
 * A state says what the rest of a character must be (Unicode table 3-7): how many bytes follow, and
 * where the lead byte narrows it, the range of the next one. That narrowing is what keeps out
 * overlong forms, surrogates and numbers above U+10FFFF.
 */
#include "common/utf8.h"

#include <string.h>

enum {
    TAIL_1 = 2, /* one more byte, 80..BF */
    TAIL_2,     /* two more */
    TAIL_3,     /* three more */
    AFTER_E0,   /* A0..BF, then one more */
    AFTER_ED,   /* 80..9F, then one more */
    AFTER_F0,   /* 90..BF, then two more */
    AFTER_F4,   /* 80..8F, then two more */
};

static uint8_t after_lead(unsigned char byte)
{
    if (byte < 0x80)
        return UTF8_START;
    if (byte < 0xc2)
        return UTF8_REJECT;
    if (byte < 0xe0)
        return TAIL_1;
    if (byte < 0xf0)
        return byte == 0xe0 ? AFTER_E0 : byte == 0xed ? AFTER_ED : TAIL_2;
    if (byte > 0xf4)
        return UTF8_REJECT;
    return byte == 0xf0 ? AFTER_F0 : byte == 0xf4 ? AFTER_F4 : TAIL_3;
}

static uint8_t next_state(uint8_t state, unsigned char byte)
{
    static const struct {
        unsigned char low, high, next;
    } rules[] = {
        [TAIL_1] = {0x80, 0xbf, UTF8_START}, [TAIL_2] = {0x80, 0xbf, TAIL_1},
        [TAIL_3] = {0x80, 0xbf, TAIL_2},     [AFTER_E0] = {0xa0, 0xbf, TAIL_1},
        [AFTER_ED] = {0x80, 0x9f, TAIL_1},   [AFTER_F0] = {0x90, 0xbf, TAIL_2},
        [AFTER_F4] = {0x80, 0x8f, TAIL_2},
    };

    if (state == UTF8_START)
        return after_lead(byte);
    if (state == UTF8_REJECT || byte < rules[state].low || byte > rules[state].high)
        return UTF8_REJECT;
    return rules[state].next;
}

static size_t ascii_prefix(const unsigned char *data, size_t size)
{
    size_t done = 0;
    uint64_t word;

    while (size - done >= sizeof(word)) {
        memcpy(&word, data + done, sizeof(word));
        if (word & 0x8080808080808080u)
            break;
        done += sizeof(word);
    }
    while (done < size && data[done] < 0x80)
        done++;
    return done;
}

uint8_t utf8_continue(uint8_t state, const unsigned char *data, size_t size)
{
    size_t done = 0;

    while (done < size && state != UTF8_REJECT) {
        if (state == UTF8_START) {
            done += ascii_prefix(data + done, size - done);
            if (done == size)
                break;
        }
        state = next_state(state, data[done++]);
    }
    return state;
}

bool utf8_is_valid(const unsigned char *data, size_t size)
{
    return utf8_continue(UTF8_START, data, size) == UTF8_START;
}
