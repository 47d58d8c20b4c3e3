/*
 * What the loops say to each other: the hub (main loop) and the workers each have one inbox, and
 * these are its items. A command belongs to whoever holds it: its sender until it is posted, its
 * receiver afterwards.
 */
#ifndef GATEWAY_COMMAND_H
#define GATEWAY_COMMAND_H

#include "common/inbox.h"
#include "common/list.h"
#include "common/map.h"
#include "common/message.h"
#include "gateway/bus.h"

struct hub;
struct worker;
struct session;
struct settings;
struct tls_context;

enum command_kind {
    /* Worker to hub. */
    COMMAND_PUBLISH,     /* struct publish_command; comes back as COMMAND_PUBLISHED */
    COMMAND_SUBSCRIBE,   /* struct channel_command: the worker's first subscriber of the channel */
    COMMAND_UNSUBSCRIBE, /* struct channel_command: its last one left */
    COMMAND_SETTLE,      /* struct settle_command; comes back as COMMAND_SETTLED */
    COMMAND_ASK,         /* struct ask_command; comes back as COMMAND_ANSWERED */
    COMMAND_HOOK,        /* struct hook_command, see hook.h; comes back as COMMAND_HOOKED */
    COMMAND_EMULATE,     /* struct emulation_command, see emulation.h; back as COMMAND_EMULATED */
    COMMAND_COUNTED,     /* struct census_command, see census.h */
    COMMAND_PRESENCE,    /* struct presence_command: who is on a channel, or not any more */
    COMMAND_CAUGHT_UP,   /* struct signal_command: `deliveries`, found full, has room again */
    COMMAND_DRAINED,     /* struct signal_command: a draining worker has no connection left, and
                            nothing of its own is with the hub */

    /* Hub to worker. */
    COMMAND_PUBLISHED,  /* struct publish_command, with its result */
    COMMAND_DELIVER,    /* struct deliver_command */
    COMMAND_SUBSCRIBED, /* struct channel_command: what is published from now on will be delivered
                         */
    COMMAND_REFUSED,    /* struct channel_command: there are too many channels */
    COMMAND_LOST,       /* struct channel_command: messages of the channel are gone */
    COMMAND_ANSWERED,   /* struct ask_command, with its answer */
    COMMAND_HOOKED,     /* struct hook_command, with its outcome */
    COMMAND_EMULATED,   /* struct emulation_command, with its status */
    COMMAND_SETTLED,    /* struct settle_command */
    COMMAND_GO_ON,      /* struct signal_command: `publishes`, found full, has room again */
    COMMAND_CONTROL,    /* struct control_command: an act on clients, of any gateway */
    COMMAND_CENSUS,     /* struct census_command; comes back as COMMAND_COUNTED */
    COMMAND_OVERRUN,    /* struct signal_command: the worker was handed no messages for a while */
    COMMAND_RELOAD,     /* struct reload_command */
    COMMAND_TLS,        /* struct tls_command */
    COMMAND_SURVEY,     /* struct survey_command, see survey.h */
    COMMAND_DRAIN, /* struct signal_command: send the clients away, spread over the drain time */
    COMMAND_ABORT, /* struct signal_command: end all connections now */
    COMMAND_STOP,  /* struct signal_command: end the thread, which has no connection left */
};

/* The first member of every command. */
struct command {
    struct inbox_item item;
    enum command_kind kind;
    struct worker *worker; /* the worker that sent it or is to receive it */
};

/* What a message costs while it is under way: its data, its names, itself and the commands around
 * it, with what an allocator keeps of each. */
static inline uint64_t message_cost(const struct message *message)
{
    return message->data_size + message->channel_size + message->origin.size + message->key.size +
           352;
}

struct publish_command {
    struct command command;
    struct bus_publish publish;
    struct session *session; /* stays until the answer, see session.h; NULL: nobody waits */
    struct hub *hub;         /* the hub's own */
    uint64_t tag;            /* the session's own */
    int error;               /* COMMAND_PUBLISHED: as in bus_publish.published */
};

struct channel_command {
    struct command command;
    size_t channel_size;
    char channel[MESSAGE_CHANNEL_LIMIT + 1];
};

struct deliver_command {
    struct command command;
    struct message *message; /* one reference */
};

struct control_command {
    struct command command;
    struct message *message; /* one reference; a Control of proto/control.proto */
};

enum ask_kind { ASK_HISTORY, ASK_PRESENCE, ASK_FORGET };

/* A question of a worker to the bus; ask.h makes, answers and frees them. */
struct ask_command {
    struct command command;
    enum ask_kind kind;
    struct bus_ask ask;
    /* On the worker, with what it asked; frees nothing. */
    void (*answered)(struct ask_command *command);
    void *owner;
    uint64_t tag; /* the owner's */
    int error;    /* as in bus_ask.answered */
    struct bus_answer answer;
    char *present_bytes;       /* what `answer.present` points into */
    struct map_entry gathered; /* asks.h */
    struct list link;
    struct ask_command *next; /* gets the same answer */
    bool is_shared;           /* it was answered with another's question */
    size_t channel_size;
    char channel[MESSAGE_CHANNEL_LIMIT + 1];
};

struct presence_command {
    struct command command;
    bool is_there;          /* or has gone */
    struct bus_present who; /* points behind the command; the client alone of one that has gone */
    size_t channel_size;
    char channel[MESSAGE_CHANNEL_LIMIT + 1];
    char bytes[];
};

/* Asks when everything that this worker published before has been settled and delivered. */
struct settle_command {
    struct command command;
    struct bus_barrier barrier;
};

struct reload_command {
    struct command command;
    struct settings *settings; /* one reference */
};

/* New certificates, for connections that come from now on. */
struct tls_command {
    struct command command;
    struct tls_context *context; /* one reference */
};

struct signal_command {
    struct command command;
};

#endif
