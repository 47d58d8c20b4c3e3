/*
 * What a worker counts. Each field has one writer, the worker's thread; the admin listener adds the
 * workers up when somebody asks.
 */
#ifndef GATEWAY_STATS_H
#define GATEWAY_STATS_H

#include <stdint.h>

#include "common/metrics.h"
#include "common/stream_gather.h"

/* Closes are counted by code: 1000 to 1014 each on its own, 1006 for connections that just broke,
 * and everything else (3000 to 4999) as one. */
#define STATS_CLOSE_FIRST  1000
#define STATS_CLOSE_COUNT  16
#define STATS_CLOSE_BROKEN 1006

struct worker_stats {
    struct metric connections;        /* open now, in any state */
    struct metric websockets;         /* open now, handshake done */
    struct metric streams;            /* open now, in place of WebSockets */
    struct metric accepted;           /* connections ever */
    struct metric refused_full;       /* by --max-connections */
    struct metric refused_address;    /* by --max-connections-per-address */
    struct metric refused_rate;       /* by --accept-rate */
    struct metric proxy_errors;       /* closed for want of a PROXY header */
    struct metric handshakes;         /* that succeeded */
    struct metric handshakes_refused; /* that were answered with an error */
    struct metric handshakes_deflate; /* that agreed on permessage-deflate */
    struct metric http_requests;      /* that were no handshakes */
    struct metric posts;              /* beside a stream, that went on their way */
    struct metric posts_refused;      /* and those that were answered with an error */
    struct metric timeouts;           /* requests that began and did not arrive in time */
    struct metric tls_full;           /* TLS handshakes that succeeded, with a new session, */
    struct metric tls_resumed;        /* with an earlier one */
    struct metric tls_failed;
    struct metric tls_timeouts;      /* that did not end in time */
    struct metric tls_waiting;       /* now, for their turn to begin */
    struct metric tls_running;       /* now, begun and not ended */
    struct metric tls_offloaded;     /* those that succeeded, since when the kernel encrypts, */
    struct metric tls_not_offloaded; /* and where it was to, and does not */
    struct metric messages_received; /* from clients */
    struct metric bytes_received;    /* off the sockets */
    struct metric messages_refused;  /* that the bus did not take */
    struct metric deliveries;        /* messages handed to a subscriber's socket */
    struct metric bytes_sent;        /* to the sockets, queued ones included */
    struct gather_stats gather;      /* how they went to the kernel at the end of ticks */
    struct metric deflate_before; /* bytes of messages that were compressed, once for each wire */
    struct metric deflate_after;  /* and what became of them */
    struct metric queues_high;    /* deliveries to a client for whom half the limit waited */
    struct metric slow_consumers; /* closed with 1013 for --send-queue-limit */
    struct metric rate_limited;   /* closed with 1008 for --message-rate */
    struct metric dead_peers;     /* that answered no ping */
    struct metric holds;          /* times that a connection was not read: the hub was behind */
    struct metric overruns;       /* times that the hub had to leave out messages */
    struct metric histories_lost; /* times that subscribers could not be given all messages */
    struct metric closes[STATS_CLOSE_COUNT]; /* the last one: all other codes */
    struct metric channels;                  /* with a subscriber here */
    struct metric clients;                   /* of the channel protocol, connected now */
    struct metric users;                     /* that they are */
    struct metric subscriptions;             /* of clients of the channel protocol, now */
    struct metric client_errors;             /* requests of theirs that were refused */
    struct metric tokens_refused;            /* that are not ours */
    struct metric hook_answers_bad;          /* of the backend, that were not understood */
    struct metric histories_read;            /* questions of what returning clients missed */
};

/* The counter for a close code. */
static inline struct metric *stats_close(struct worker_stats *stats, uint16_t code)
{
    unsigned index = (unsigned)code - STATS_CLOSE_FIRST;

    if (code < STATS_CLOSE_FIRST || index >= STATS_CLOSE_COUNT - 1)
        index = STATS_CLOSE_COUNT - 1;
    return &stats->closes[index];
}

/* Lowers a gauge; only by its own thread. */
static inline void stats_lower(struct metric *gauge)
{
    metric_set(gauge, metric_read(gauge) - 1);
}

#endif
