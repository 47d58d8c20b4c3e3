/*
 * An address stays a target for ever, even when its name no longer resolves to it: trying it costs
 * next to nothing, and a router that was cut off from the name service is still there. Only where
 * there are too many does one that never answered make room.
 */
#include "common/router_dialer.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/redial.h"

#define DEFAULT_PORT     "9000"
#define RESOLVE_AGAIN_MS 5000
#define RESOLVE_FIRST_MS 1000
#define BACKOFF_FLOOR_MS 50
#define BACKOFF_LIMIT_MS 1000
#define COVERED_MS       1000 /* before an address whose node is linked is looked at again */
#define HOST_LIMIT       255

struct name {
    struct list link;
    struct router_dialer *dialer;
    uv_getaddrinfo_t request;
    bool is_resolving;
    char host[HOST_LIMIT + 1];
    char port[8];
};

struct target {
    struct list link;
    struct router_dialer *dialer;
    struct sockaddr_storage address;
    char text[ADDRESS_TEXT_LIMIT];
    char host[HOST_LIMIT + 1];       /* the name that it was found by, or its address */
    struct router_link *router_link; /* while there is one */
    struct waiter waiter;
    struct redial redial;
    uint64_t changed_ms; /* since when there is a link that is ready, or there is none */
    uint64_t node;       /* who answered last; 0: nobody yet */
    char error[ROUTER_TEXT_LIMIT + 1]; /* why the last link ended, or came to nothing */
    bool was_tried;
    bool is_self;
    bool is_covered; /* the link that is closing is not wanted */
    bool is_logged;  /* that it cannot be reached */
};

static struct target *target_of(struct router_dialer *dialer, const struct router_link *link)
{
    for (struct list *at = dialer->targets.next; at != &dialer->targets; at = at->next) {
        struct target *target = container_of(at, struct target, link);

        if (target->router_link == link)
            return target;
    }
    abort();
}

static struct router_dialer *dialer_of(struct router_link *link)
{
    return link->owner;
}

static void note_tried(struct router_dialer *dialer)
{
    if (dialer->was_tried || !dialer->was_resolved || dialer->is_closing)
        return;
    for (struct list *at = dialer->targets.next; at != &dialer->targets; at = at->next) {
        if (!container_of(at, struct target, link)->was_tried)
            return;
    }
    dialer->was_tried = true;
    if (dialer->events->tried)
        dialer->events->tried(dialer);
}

static void wait_to_dial(struct target *target, uint64_t delay_ms)
{
    loop_wait(target->dialer->host->loop, &target->waiter, delay_ms);
}

/* Links. */

static bool on_welcome(struct router_link *link)
{
    struct router_dialer *dialer = dialer_of(link);
    struct target *target = target_of(dialer, link);
    uint64_t before = target->node;

    target->node = link->peer.node;
    if (before != 0 && before != target->node)
        dialer->events->died(dialer, before);
    if (target->node == dialer->host->identity->node) {
        target->is_self = true;
        router_link_refuse(link, ROUTER_ERROR_SELF, "it is ourselves");
        return false;
    }
    snprintf(link->peer.address, sizeof(link->peer.address), "%s", target->text);
    if (dialer->events->is_covered(dialer, target->node)) {
        target->is_covered = true;
        router_link_refuse(link, ROUTER_ERROR_TWICE, "there is a link already");
        return false;
    }
    return true;
}

static void on_ready(struct router_link *link)
{
    struct router_dialer *dialer = dialer_of(link);
    struct target *target = target_of(dialer, link);

    target->was_tried = true;
    target->is_logged = false;
    target->changed_ms = loop_now_ms(dialer->host->loop);
    dialer->events->ready(dialer, link);
    note_tried(dialer);
}

static void on_frame(struct router_link *link, const struct router_frame *frame)
{
    dialer_of(link)->events->frame(dialer_of(link), link, frame);
}

static void log_failure(struct target *target, const struct router_link *link)
{
    if (target->is_logged)
        return;
    target->is_logged = true;
    log_event(LOG_WARNING, log_name("router unreachable"), log_text("address", target->text),
              log_number("shard", target->dialer->shard), log_text("reason", link->reason));
}

static void finish_if_closed(struct router_dialer *dialer)
{
    if (dialer->is_closing && dialer->target_count == 0 && list_is_empty(&dialer->names))
        dialer->events->closed_all(dialer);
}

static void forget_target(struct target *target)
{
    struct router_dialer *dialer = target->dialer;

    loop_cancel(dialer->host->loop, &target->waiter);
    list_remove(&target->link);
    dialer->target_count--;
    memory_free(target);
}

/* A link of the target has ended: how long to wait before the next one. */
static uint64_t redial_wait_ms(struct target *target, const struct router_link *link,
                               bool was_covered)
{
    uint64_t now_ms = loop_now_ms(target->dialer->host->loop);
    uint64_t lasted_ms = now_ms - target->changed_ms;

    if (was_covered)
        return COVERED_MS;
    snprintf(target->error, sizeof(target->error), "%s", link->reason);
    if (!link->was_ready)
        return redial_after_failure_ms(&target->redial);
    target->changed_ms = now_ms;
    return redial_after_break_ms(&target->redial, lasted_ms);
}

static void on_closed(struct router_link *link, int error)
{
    struct router_dialer *dialer = dialer_of(link);
    struct target *target = target_of(dialer, link);
    bool was_covered = target->is_covered;
    uint64_t dead = error == UV_ECONNREFUSED ? target->node : 0;

    target->router_link = NULL;
    target->is_covered = false;
    target->was_tried = true;
    if (!was_covered && !target->is_self && !dialer->is_closing && !link->was_ready)
        log_failure(target, link);

    uint64_t wait_ms = redial_wait_ms(target, link, was_covered);

    dialer->events->closed(dialer, link);
    if (dead)
        dialer->events->died(dialer, dead);
    if (dialer->is_closing) {
        forget_target(target);
        finish_if_closed(dialer);
        return;
    }
    note_tried(dialer);
    if (target->is_self)
        return;
    wait_to_dial(target, wait_ms);
}

static const struct router_link_events link_events = {
    .welcome = on_welcome,
    .ready = on_ready,
    .frame = on_frame,
    .closed = on_closed,
};

static void dial(struct target *target)
{
    struct router_dialer *dialer = target->dialer;

    if (target->router_link || target->is_self || dialer->is_closing)
        return;
    if (target->node != 0 && dialer->events->is_covered(dialer, target->node)) {
        target->was_tried = true;
        note_tried(dialer);
        wait_to_dial(target, COVERED_MS);
        return;
    }
    target->router_link = dialer->events->create(dialer);
    router_link_dial(target->router_link, dialer->host, dialer,
                     (const struct sockaddr *)&target->address, target->host, dialer->shard,
                     &link_events);
}

static void on_dial_due(struct waiter *waiter)
{
    dial(container_of(waiter, struct target, waiter));
}

/* Targets. */

/* One that never answered goes first, then the oldest of those that are away: where routers get a
 * new address with each restart, many have gone for good. */
static bool make_room(struct router_dialer *dialer)
{
    struct target *away = NULL;

    if (dialer->target_count < ROUTER_DIALER_LIMIT)
        return true;
    for (struct list *at = dialer->targets.next; at != &dialer->targets; at = at->next) {
        struct target *target = container_of(at, struct target, link);

        if (target->router_link || target->is_self)
            continue;
        if (target->node == 0) {
            away = target;
            break;
        }
        if (!away)
            away = target;
    }
    if (away)
        forget_target(away);
    return away != NULL;
}

/* `host` is NULL where somebody told the address alone. */
static void add(struct router_dialer *dialer, const struct sockaddr *address, const char *host)
{
    char text[ADDRESS_TEXT_LIMIT];
    struct target *target;

    address_format(address, text);
    for (struct list *at = dialer->targets.next; at != &dialer->targets; at = at->next) {
        if (strcmp(container_of(at, struct target, link)->text, text) == 0)
            return;
    }
    if (dialer->is_closing || !make_room(dialer))
        return;
    target = memory_zeroed(1, sizeof(*target));
    target->dialer = dialer;
    memcpy(target->text, text, sizeof(text));
    if (host)
        snprintf(target->host, sizeof(target->host), "%s", host);
    else
        address_format_host(address, target->host);
    memcpy(&target->address, address,
           address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in));
    target->changed_ms = loop_now_ms(dialer->host->loop);
    redial_init(&target->redial, BACKOFF_FLOOR_MS, BACKOFF_LIMIT_MS);
    waiter_init(&target->waiter, on_dial_due);
    list_init(&target->link);
    list_append(&dialer->targets, &target->link);
    dialer->target_count++;
    dial(target);
}

void router_dialer_add(struct router_dialer *dialer, const char *address)
{
    struct sockaddr_storage parsed;

    /* Without a host it would be every address. */
    if (address[0] != '\0' && address[0] != ':' && address_parse(address, &parsed) == 0)
        add(dialer, (const struct sockaddr *)&parsed, NULL);
}

void router_dialer_probe(struct router_dialer *dialer, uint64_t node)
{
    for (struct list *at = dialer->targets.next; at != &dialer->targets; at = at->next) {
        struct target *target = container_of(at, struct target, link);

        if (target->node != node || target->router_link)
            continue;
        target->changed_ms = loop_now_ms(dialer->host->loop);
        wait_to_dial(target, 0);
    }
}

/* Names. */

static void end_if_resolved(struct router_dialer *dialer)
{
    if (dialer->resolving > 0)
        return;
    dialer->was_resolved = true;
    note_tried(dialer);
    if (!dialer->is_closing && !list_is_empty(&dialer->names))
        loop_wait(dialer->host->loop, &dialer->waiter,
                  dialer->target_count > 0 ? RESOLVE_AGAIN_MS : RESOLVE_FIRST_MS);
}

static void on_resolved(uv_getaddrinfo_t *request, int error, struct addrinfo *addresses)
{
    struct name *name = container_of(request, struct name, request);
    struct router_dialer *dialer = name->dialer;

    name->is_resolving = false;
    if (error)
        log_event(LOG_DEBUG, log_name("name not resolved"), log_text("name", name->host),
                  log_text("error", uv_strerror(error)));
    for (struct addrinfo *at = addresses; at && !dialer->is_closing; at = at->ai_next)
        add(dialer, at->ai_addr, name->host);
    uv_freeaddrinfo(addresses);
    if (dialer->is_closing) {
        list_remove(&name->link);
        memory_free(name);
        finish_if_closed(dialer);
        return;
    }
    dialer->resolving--;
    end_if_resolved(dialer);
}

static void resolve(struct name *name)
{
    struct router_dialer *dialer = name->dialer;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

    name->is_resolving = uv_getaddrinfo(&dialer->host->loop->uv, &name->request, on_resolved,
                                        name->host, name->port, &hints) == 0;
    if (name->is_resolving)
        dialer->resolving++;
}

static void resolve_all(struct waiter *waiter)
{
    struct router_dialer *dialer = container_of(waiter, struct router_dialer, waiter);

    for (struct list *at = dialer->names.next; at != &dialer->names; at = at->next)
        resolve(container_of(at, struct name, link));
    end_if_resolved(dialer); /* there are none, or none that can be asked for */
}

/* Splits HOST, HOST:PORT or [HOST]:PORT; false where it is none of these. */
static bool split(const char *text, char host[HOST_LIMIT + 1], char port[8])
{
    const char *start = text;
    const char *end = strrchr(text, ':');
    const char *port_text = end ? end + 1 : DEFAULT_PORT;
    char *rest;

    if (text[0] == '[') {
        start++;
        end = strchr(text, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return false;
        port_text = end[1] == ':' ? end + 2 : DEFAULT_PORT;
    } else if (!end) {
        end = text + strlen(text);
    }
    if (end == start || end - start > HOST_LIMIT || strlen(port_text) > 5)
        return false;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    snprintf(port, 8, "%s", port_text);

    unsigned long number = strtoul(port, &rest, 10);

    return port[0] >= '0' && port[0] <= '9' && *rest == '\0' && number > 0 && number < 65536;
}

const char *router_dialer_check(const struct option_list *names)
{
    char host[HOST_LIMIT + 1];
    char port[8];

    for (size_t i = 0; i < names->count; i++) {
        if (!split(names->items[i], host, port))
            return names->items[i];
    }
    return NULL;
}

void router_dialer_start(struct router_dialer *dialer, struct router_link_host *host,
                         uint32_t shard, const struct option_list *names,
                         const struct router_dialer_events *events)
{
    *dialer = (struct router_dialer){.host = host, .events = events, .shard = shard};
    list_init(&dialer->targets);
    list_init(&dialer->names);
    waiter_init(&dialer->waiter, resolve_all);
    for (size_t i = 0; i < names->count; i++) {
        struct name *name = memory_zeroed(1, sizeof(*name));

        name->dialer = dialer;
        list_init(&name->link);
        if (!split(names->items[i], name->host, name->port)) {
            memory_free(name);
            continue;
        }
        list_append(&dialer->names, &name->link);
    }
    loop_wait(host->loop, &dialer->waiter, 0);
}

static bool has_link(const struct target *target)
{
    return target->router_link && target->router_link->state == ROUTER_LINK_READY;
}

void router_dialer_each_missing(struct router_dialer *dialer,
                                void (*visit)(void *context,
                                              const struct router_dialer_missing *missing),
                                void *context)
{
    uint64_t now_ms = loop_now_ms(dialer->host->loop);

    for (struct list *at = dialer->targets.next; at != &dialer->targets; at = at->next) {
        const struct target *target = container_of(at, struct target, link);

        if (!has_link(target) && !target->is_self &&
            (target->node == 0 || !dialer->events->is_covered(dialer, target->node)))
            visit(context, &(struct router_dialer_missing){.address = target->text,
                                                           .host = target->host,
                                                           .for_ms = now_ms - target->changed_ms,
                                                           .error = target->error});
    }
}

void router_dialer_close(struct router_dialer *dialer)
{
    dialer->is_closing = true;
    loop_cancel(dialer->host->loop, &dialer->waiter);
    for (struct list *at = dialer->names.next; at != &dialer->names;) {
        struct name *name = container_of(at, struct name, link);

        at = at->next;
        if (name->is_resolving) {
            uv_cancel((uv_req_t *)&name->request);
            continue;
        }
        list_remove(&name->link);
        memory_free(name);
    }
    for (struct list *at = dialer->targets.next; at != &dialer->targets;) {
        struct target *target = container_of(at, struct target, link);

        at = at->next;
        if (target->router_link)
            router_link_close(target->router_link, "the process stops");
        else
            forget_target(target);
    }
    finish_if_closed(dialer);
}
