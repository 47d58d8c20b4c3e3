#include "gateway/admission.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include "common/address.h"
#include "common/memory.h"

/* A client address, or network of IPv6, with at least one admitted connection. */
struct admission_address {
    struct map_entry entry;
    uint64_t connections;
    char text[ADDRESS_TEXT_LIMIT];
};

/* The entry of every connection that was refused. A refusal lasts until the client has read it, so
 * those under way must not count as connections: a crowd that comes back again and again would keep
 * everybody out long after there is room. */
static struct admission_address refused;

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

void admission_set_limits(struct admission *admission, const struct admission_limits *limits)
{
    uv_mutex_lock(&admission->lock);
    admission->limits = *limits;
    uv_mutex_unlock(&admission->lock);
}

static struct admission_address *find_address(struct admission *admission,
                                              const char text[ADDRESS_TEXT_LIMIT])
{
    struct map_entry *found = map_find(&admission->addresses, text, strlen(text));

    return found ? container_of(found, struct admission_address, entry) : NULL;
}

static struct admission_address *add_address(struct admission *admission,
                                             const char text[ADDRESS_TEXT_LIMIT])
{
    struct admission_address *address = memory_zeroed(1, sizeof(*address));

    memcpy(address->text, text, ADDRESS_TEXT_LIMIT);
    map_insert(&admission->addresses, &address->entry, address->text, strlen(address->text));
    return address;
}

/*
 * What counts as one address. Of IPv6 it is a network of 64 bits: so much is given to a household
 * or a rented machine, which may connect from 2^64 addresses (RFC 6177, RFC 4291 §2.5.1).
 */
static void format_origin(const struct sockaddr *peer, char text[ADDRESS_TEXT_LIMIT])
{
    struct sockaddr_in6 network;

    if (peer->sa_family != AF_INET6) {
        address_format_host(peer, text);
        return;
    }
    network = *(const struct sockaddr_in6 *)(const void *)peer;
    if (!IN6_IS_ADDR_V4MAPPED(&network.sin6_addr))
        memset(network.sin6_addr.s6_addr + 8, 0, 8);
    address_format_host((const struct sockaddr *)&network, text);
}

/* Counts a connection of this address; NULL if the address has its share. */
static struct admission_address *enter_address(struct admission *admission,
                                               const struct sockaddr *peer)
{
    char text[ADDRESS_TEXT_LIMIT];

    format_origin(peer, text);

    struct admission_address *address = find_address(admission, text);

    if (address && address->connections >= admission->limits.per_address)
        return NULL;
    if (!address)
        address = add_address(admission, text);
    address->connections++;
    return address;
}

uint64_t admission_connection_limit(struct admission *admission)
{
    uv_mutex_lock(&admission->lock);

    uint64_t limit = admission->limits.connections;

    uv_mutex_unlock(&admission->lock);
    return limit;
}

static enum admission_verdict enter(struct admission *admission, const struct sockaddr *address,
                                    struct admission_address **entry)
{
    *entry = NULL;
    if (admission->connections >= admission->limits.connections)
        return ADMISSION_FULL;
    if (address && admission->limits.per_address > 0) {
        *entry = enter_address(admission, address);
        if (!*entry)
            return ADMISSION_ADDRESS_FULL;
    }
    admission->connections++;
    return ADMITTED;
}

static enum admission_verdict refuse(struct admission *admission, enum admission_verdict verdict,
                                     struct admission_address **entry)
{
    *entry = &refused;
    return ++admission->refusals > admission->limits.refusals ? ADMISSION_OVERRUN : verdict;
}

enum admission_verdict admission_enter(struct admission *admission, const struct sockaddr *address,
                                       struct admission_address **entry)
{
    uv_mutex_lock(&admission->lock);

    enum admission_verdict verdict = enter(admission, address, entry);

    if (verdict != ADMITTED)
        verdict = refuse(admission, verdict, entry);
    uv_mutex_unlock(&admission->lock);
    return verdict;
}

enum admission_verdict admission_claim(struct admission *admission, const struct sockaddr *address,
                                       struct admission_address **entry)
{
    enum admission_verdict verdict = ADMITTED;

    assert(!*entry);
    uv_mutex_lock(&admission->lock);
    if (admission->limits.per_address > 0) {
        *entry = enter_address(admission, address);
        if (!*entry) {
            admission->connections--;
            verdict = refuse(admission, ADMISSION_ADDRESS_FULL, entry);
        }
    }
    uv_mutex_unlock(&admission->lock);
    return verdict;
}

/* The clocks of two loops may differ by what one of them takes for an iteration. */
static void fill_turns(struct admission *admission, uint64_t now_ms)
{
    uint64_t most = admission->limits.rate * 1000;

    if (now_ms <= admission->turns_ms)
        return;

    uint64_t passed_ms = now_ms - admission->turns_ms;

    /* A thousandth of the rate comes in a millisecond: a second fills it from nothing. */
    admission->turns =
        passed_ms >= 1000 ? most : admission->turns + passed_ms * admission->limits.rate;
    if (admission->turns > most)
        admission->turns = most;
    admission->turns_ms = now_ms;
}

bool admission_take_turn(struct admission *admission, uint64_t now_ms)
{
    bool has_turn = true;

    uv_mutex_lock(&admission->lock);
    if (admission->limits.rate > 0) {
        fill_turns(admission, now_ms);
        has_turn = admission->turns >= 1000;
        if (has_turn)
            admission->turns -= 1000;
    }
    uv_mutex_unlock(&admission->lock);
    return has_turn;
}

void admission_leave(struct admission *admission, struct admission_address *entry)
{
    uv_mutex_lock(&admission->lock);
    if (entry == &refused) {
        admission->refusals--;
    } else {
        admission->connections--;
        if (entry && --entry->connections == 0) {
            map_remove(&admission->addresses, &entry->entry);
            memory_free(entry);
        }
    }
    uv_mutex_unlock(&admission->lock);
}
