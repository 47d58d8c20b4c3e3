#include "gateway/admission.h"

#include <string.h>

#include "common/address.h"
#include "common/memory.h"

/* Connections beyond the total that are still told 503; further ones are just closed. */
#define ROOM_FOR_REFUSALS 64

struct admission_address {
    struct map_entry entry;
    uint64_t connections;
    char text[ADDRESS_TEXT_LIMIT];
};

int admission_init(struct admission *admission)
{
    *admission = (struct admission){0};
    return uv_mutex_init(&admission->lock);
}

void admission_deinit(struct admission *admission)
{
    map_deinit(&admission->addresses);
    uv_mutex_destroy(&admission->lock);
}

static struct admission_address *find_address(struct admission *admission,
                                              const struct sockaddr *address)
{
    char text[ADDRESS_TEXT_LIMIT];

    address_format_host(address, text);

    struct map_entry *found = map_find(&admission->addresses, text, strlen(text));

    if (found)
        return container_of(found, struct admission_address, entry);

    struct admission_address *created = memory_zeroed(1, sizeof(*created));

    memcpy(created->text, text, sizeof(text));
    map_insert(&admission->addresses, &created->entry, created->text, strlen(text));
    return created;
}

enum admission_verdict admission_enter(struct admission *admission, const struct sockaddr *address,
                                       uint64_t limit, uint64_t address_limit,
                                       struct admission_address **entry)
{
    enum admission_verdict verdict = ADMITTED;

    *entry = NULL;
    uv_mutex_lock(&admission->lock);
    admission->connections++;
    if (admission->connections > limit + ROOM_FOR_REFUSALS)
        verdict = ADMISSION_OVERRUN;
    else if (admission->connections > limit)
        verdict = ADMISSION_FULL;
    if (address_limit > 0) {
        *entry = find_address(admission, address);
        if (++(*entry)->connections > address_limit && verdict == ADMITTED)
            verdict = ADMISSION_ADDRESS_FULL;
    }
    uv_mutex_unlock(&admission->lock);
    return verdict;
}

void admission_leave(struct admission *admission, struct admission_address *entry)
{
    uv_mutex_lock(&admission->lock);
    admission->connections--;
    if (entry && --entry->connections == 0) {
        map_remove(&admission->addresses, &entry->entry);
        memory_free(entry);
    }
    uv_mutex_unlock(&admission->lock);
}
