/*
 * A publish travels to the hub and comes back as its own answer, so that nothing is allocated for
 * the way back and a connection's memory stays until its last publish is settled.
 */
#include "gateway/session.h"

#include "common/memory.h"
#include "common/wall_clock.h"

void session_init(struct session *session, struct session_host *host,
                  const struct session_protocol *protocol)
{
    *session = (struct session){.host = host, .protocol = protocol};
}

/* 0: any number. */
static uint64_t stricter(uint64_t one, uint64_t other)
{
    return other == 0 || (one > 0 && one < other) ? one : other;
}

bool session_charge_on(struct session *session, const struct channel_rules *rules)
{
    struct session_host *host = session->host;
    const struct channel_rules *own = &host->settings->config.rules;

    if (pace_take(&session->pace, stricter(own->message_rate, rules->message_rate),
                  stricter(own->message_burst, rules->message_burst),
                  (uint32_t)loop_now_ms(host->loop)))
        return true;
    metric_add(&host->stats->rate_limited, 1);
    host->events->close(session, WEBSOCKET_CLOSE_POLICY, "too many messages a second");
    return false;
}

bool session_charge(struct session *session)
{
    return session_charge_on(session, &session->host->settings->config.rules);
}

bool session_may_publish(const struct session *session)
{
    return !flow_is_full(&session->host->publishes);
}

/* A command that is ready to be posted. */
static struct publish_command *prepare(struct session_host *host, const struct message_draft *draft)
{
    struct message *message = message_write(draft);
    struct publish_command *command = memory_zeroed(1, sizeof(*command));

    message->time_ms = wall_clock_ms();
    command->command.kind = COMMAND_PUBLISH;
    command->command.worker = host->channels.worker;
    command->publish.message = message;
    flow_post(&host->publishes, message_cost(message));
    return command;
}

void session_publish(struct session *session, const struct message_draft *draft,
                     const struct channel_rules *limits, uint64_t tag)
{
    struct session_host *host = session->host;
    struct publish_command *command = prepare(host, draft);

    if (limits) {
        command->publish.has_limits = true;
        command->publish.history_size = limits->history_size;
        command->publish.history_ttl_ms = limits->history_ttl_ms;
    }
    command->session = session;
    command->tag = tag;
    session->pending++;
    inbox_post(host->channels.hub, &command->command.item);
}

void session_announce(struct session_host *host, const struct message_draft *draft)
{
    inbox_post(host->channels.hub, &prepare(host, draft)->command.item);
}

void session_message(struct session *session, enum websocket_opcode opcode, const void *data,
                     size_t size)
{
    session->protocol->message(session, opcode, data, size);
}

void session_published(struct publish_command *command)
{
    struct session *session = command->session;

    if (session) {
        session->pending--;
        if (command->error)
            metric_add(&session->host->stats->messages_refused, 1);
        session->protocol->published(session, command);
    }
    message_unref(command->publish.message);
    memory_free(command);
    if (session && session->pending == 0)
        session->host->events->settled(session);
}

void session_close(struct session *session)
{
    if (session->protocol)
        session->protocol->close(session);
}
