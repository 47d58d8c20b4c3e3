#include "router/identities.h"

#include "common/memory.h"

#define FIRST_CAPACITY 64

/* Where a message is, or would be. Sequences of one publisher follow each other, so they are spread
 * by an odd factor; nobody outside chooses either number. */
static size_t slot_of(const struct identities *identities, uint64_t publisher, uint64_t sequence)
{
    uint64_t hash = (publisher ^ (sequence * 0x9e3779b97f4a7c15u)) * 0xd6e8feb86659fd93u;
    size_t mask = identities->capacity - 1;
    size_t at = (size_t)(hash >> 32) & mask;

    while (identities->slots[at].sequence != 0 && (identities->slots[at].publisher != publisher ||
                                                   identities->slots[at].sequence != sequence))
        at = (at + 1) & mask;
    return at;
}

static void grow(struct identities *identities)
{
    struct identities larger = {.capacity = identities->capacity ? identities->capacity * 2
                                                                 : FIRST_CAPACITY};

    larger.slots = memory_zeroed(larger.capacity, sizeof(*larger.slots));
    for (size_t i = 0; i < identities->capacity; i++) {
        if (identities->slots[i].sequence != 0)
            identities_add(&larger, identities->slots[i].publisher, identities->slots[i].sequence);
    }
    identities_deinit(identities);
    *identities = larger;
}

void identities_deinit(struct identities *identities)
{
    memory_free(identities->slots);
    *identities = (struct identities){0};
}

void identities_add(struct identities *identities, uint64_t publisher, uint64_t sequence)
{
    size_t at;

    if (sequence == 0)
        return;
    if (identities->count >= identities->capacity / 2)
        grow(identities);
    at = slot_of(identities, publisher, sequence);
    if (identities->slots[at].sequence != 0)
        return;
    identities->slots[at] = (struct identity_slot){publisher, sequence};
    identities->count++;
}

bool identities_have(const struct identities *identities, uint64_t publisher, uint64_t sequence)
{
    return sequence != 0 && identities->count > 0 &&
           identities->slots[slot_of(identities, publisher, sequence)].sequence != 0;
}
