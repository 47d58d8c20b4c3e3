/*
 * The old text is cut into blocks of 16 bytes, found by a hash that can be rolled along the new
 * text byte by byte. Where a block is met, the match is stretched both ways, and the longest of a
 * few candidates is taken if a copy is shorter than what it copies.
 */
#include "gateway/fossil.h"

#include <stdint.h>

#include "common/memory.h"

#define BLOCK      16
#define CANDIDATES 64 /* blocks of one hash that are looked at */
#define COMMAND_BYTES                                                                              \
    14 /* that two numbers and their marks may take: a shorter match is no gain                    \
        */

struct index {
    struct text source;
    uint32_t mask;
    int32_t *first; /* by hash: the last block with it, or -1 */
    int32_t *next;  /* by block: the one before it with the same hash */
};

struct match {
    size_t source; /* where it begins in the old text */
    size_t target; /* and in the new one */
    size_t size;
};

static void write_number(struct buffer *out, size_t number)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    char text[12];
    size_t at = sizeof(text);

    do {
        text[--at] = digits[number & 63];
        number >>= 6;
    } while (number > 0);
    buffer_append(out, text + at, sizeof(text) - at);
}

/* The sum of its big-endian words of 32 bits, the last one filled up with zeros. */
static uint32_t checksum(struct text text)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < text.size; i++)
        sum += (uint32_t)(unsigned char)text.data[i] << (24 - 8 * (i % 4));
    return sum;
}

struct rolling {
    uint16_t sum;
    uint16_t weighted;
};

static struct rolling roll_start(const char *at)
{
    struct rolling rolling = {0, 0};

    for (unsigned i = 0; i < BLOCK; i++) {
        rolling.sum = (uint16_t)(rolling.sum + (unsigned char)at[i]);
        rolling.weighted = (uint16_t)(rolling.weighted + (BLOCK - i) * (unsigned char)at[i]);
    }
    return rolling;
}

static void roll_on(struct rolling *rolling, char out, char in)
{
    rolling->sum = (uint16_t)(rolling->sum - (unsigned char)out + (unsigned char)in);
    rolling->weighted = (uint16_t)(rolling->weighted - BLOCK * (unsigned char)out + rolling->sum);
}

static uint32_t slot_of(const struct index *index, struct rolling rolling)
{
    uint32_t hash = (uint32_t)rolling.sum | (uint32_t)rolling.weighted << 16;

    return (hash * UINT32_C(2654435761)) >> 7 & index->mask;
}

static void index_init(struct index *index, struct text source)
{
    size_t blocks = source.size / BLOCK;
    size_t slots = 16;

    while (slots < blocks)
        slots *= 2;
    *index = (struct index){
        .source = source,
        .mask = (uint32_t)slots - 1,
        .first = memory_allocate(slots * sizeof(int32_t)),
        .next = memory_allocate(blocks * sizeof(int32_t)),
    };
    for (size_t i = 0; i < slots; i++)
        index->first[i] = -1;
    for (size_t i = 0; i < blocks; i++) {
        uint32_t slot = slot_of(index, roll_start(source.data + i * BLOCK));

        index->next[i] = index->first[slot];
        index->first[slot] = (int32_t)i;
    }
}

static void index_deinit(struct index *index)
{
    memory_free(index->first);
    memory_free(index->next);
}

/* Stretches a match of at least the block at `source` and `target`, not back before `floor`. */
static struct match stretch(struct text source_text, struct text target_text, size_t source,
                            size_t target, size_t floor)
{
    struct match match = {source, target, 0};

    while (source + match.size < source_text.size && target + match.size < target_text.size &&
           source_text.data[source + match.size] == target_text.data[target + match.size])
        match.size++;
    if (match.size == 0)
        return match;
    while (match.source > 0 && match.target > floor &&
           source_text.data[match.source - 1] == target_text.data[match.target - 1]) {
        match.source--;
        match.target--;
        match.size++;
    }
    return match;
}

static struct match find(const struct index *index, struct rolling rolling, struct text target,
                         size_t at, size_t floor)
{
    struct match best = {0};
    int32_t block = index->first[slot_of(index, rolling)];

    for (unsigned i = 0; block >= 0 && i < CANDIDATES; i++, block = index->next[block]) {
        struct match match = stretch(index->source, target, (size_t)block * BLOCK, at, floor);

        if (match.size > best.size)
            best = match;
    }
    return best;
}

static void write_insert(struct buffer *out, const char *data, size_t size)
{
    if (size == 0)
        return;
    write_number(out, size);
    buffer_append(out, ":", 1);
    buffer_append(out, data, size);
}

static void write_copy(struct buffer *out, const struct match *match)
{
    write_number(out, match->size);
    buffer_append(out, "@", 1);
    write_number(out, match->source);
    buffer_append(out, ",", 1);
}

static void write_pieces(struct buffer *out, struct index *index, struct text target)
{
    size_t done = 0; /* of the new text */
    size_t at = 0;
    struct rolling rolling = roll_start(target.data);

    while (at + BLOCK <= target.size) {
        struct match match = find(index, rolling, target, at, done);

        if (match.size > COMMAND_BYTES) {
            write_insert(out, target.data + done, match.target - done);
            write_copy(out, &match);
            done = match.target + match.size;
            at = done;
            if (at + BLOCK <= target.size)
                rolling = roll_start(target.data + at);
            continue;
        }
        if (at + BLOCK < target.size)
            roll_on(&rolling, target.data[at], target.data[at + BLOCK]);
        at++;
    }
    write_insert(out, target.data + done, target.size - done);
}

void fossil_write_delta(struct buffer *out, struct text source, struct text target)
{
    write_number(out, target.size);
    buffer_append(out, "\n", 1);
    if (source.size < BLOCK || target.size < BLOCK) {
        write_insert(out, target.data, target.size);
    } else {
        struct index index;

        index_init(&index, source);
        write_pieces(out, &index, target);
        index_deinit(&index);
    }
    write_number(out, checksum(target));
    buffer_append(out, ";", 1);
}
