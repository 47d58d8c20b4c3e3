/*
 * A publish travels to the hub and comes back as its own answer, so that nothing is allocated for
 * the way back and a connection's memory stays until its last publish is settled.
 */
#include "gateway/session.h"

#include <string.h>
#include <time.h>

#include "common/channel_name.h"
#include "common/memory.h"

int session_channel(const struct http_request *request, const struct settings *settings,
                    char channel[MESSAGE_CHANNEL_LIMIT + 1], size_t *size, const char **message)
{
    int result = http_query_value(request->query, "channel", channel, MESSAGE_CHANNEL_LIMIT);

    if (result == UV_ENOENT) {
        *size = strlen(settings->config.lobby);
        memcpy(channel, settings->config.lobby, *size + 1);
        return 0;
    }
    if (result < 0 || !channel_name_is_valid(channel, (size_t)result)) {
        *message = "channel: expected 1 to 255 bytes of UTF-8 without control characters";
        return 400;
    }
    *size = (size_t)result;
    return 0;
}

bool session_serves(const char *path)
{
    return strcmp(path, "/") == 0 || strcmp(path, "/ws") == 0;
}

static struct session *session_of(struct subscription *subscription)
{
    return container_of(subscription, struct session, subscription);
}

void session_open(struct session *session, struct session_host *host, const char *channel,
                  size_t channel_size)
{
    *session = (struct session){
        .host = host,
        .allowance = (uint32_t)host->settings->config.message_burst * 1000,
        .allowance_since = (uint32_t)loop_now_ms(host->loop),
    };
    if (channels_join(&host->channels, channel, channel_size, &session->subscription, WIRE_PLAIN) ==
        CHANNEL_OPEN)
        host->events->opened(session, 0);
}

/*
 * A token bucket: it fills at the rate up to the burst, and each message takes one. In thousandths,
 * so that a message a second and a million a second both count exactly enough.
 */
bool session_charge(struct session *session)
{
    const struct config *config = &session->host->settings->config;

    if (config->message_rate == 0)
        return true;

    uint32_t now = (uint32_t)loop_now_ms(session->host->loop);
    uint64_t allowance =
        session->allowance + (uint64_t)(now - session->allowance_since) * config->message_rate;
    uint64_t burst = config->message_burst * 1000;

    session->allowance_since = now;
    session->allowance = (uint32_t)(allowance < burst ? allowance : burst);
    if (session->allowance >= 1000) {
        session->allowance -= 1000;
        return true;
    }
    metric_add(&session->host->stats->rate_limited, 1);
    session->host->events->close(session, WEBSOCKET_CLOSE_POLICY, "too many messages a second");
    return false;
}

static int64_t wall_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool session_may_publish(const struct session *session)
{
    return !flow_is_full(&session->host->publishes);
}

void session_message(struct session *session, enum websocket_opcode opcode, const void *data,
                     size_t size)
{
    struct session_host *host = session->host;

    if (!session_charge(session))
        return;

    size_t channel_size;
    const char *channel = channel_name(session->subscription.channel, &channel_size);
    struct message *message =
        message_create(opcode == WEBSOCKET_TEXT ? MESSAGE_TEXT : MESSAGE_BINARY, channel,
                       channel_size, data, size);

    message->time_ms = wall_clock_ms();

    struct publish_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = COMMAND_PUBLISH;
    command->command.worker = host->channels.worker;
    command->publish.message = message;
    command->session = session;
    session->pending++;
    metric_add(&host->stats->messages_received, 1);
    flow_post(&host->publishes, message_cost(message));
    inbox_post(host->channels.hub, &command->command.item);
}

static void refuse(struct session *session, int error)
{
    const struct session_events *events = session->host->events;

    switch (error) {
    case UV_ENOBUFS:
        events->close(session, WEBSOCKET_CLOSE_TRY_LATER, "the bus is away and its buffer is full");
        break;
    case UV_EMSGSIZE:
        events->close(session, WEBSOCKET_CLOSE_TOO_BIG, "the bus takes no message that large");
        break;
    case UV_ECANCELED:
        events->close(session, WEBSOCKET_CLOSE_GOING_AWAY, "the server is going away");
        break;
    default:
        events->close(session, WEBSOCKET_CLOSE_INTERNAL, "the bus refused the message");
    }
}

void session_published(struct publish_command *command)
{
    struct session *session = command->session;
    struct session_host *host = session->host;
    int error = command->error;

    message_unref(command->publish.message);
    memory_free(command);
    session->pending--;
    if (error) {
        metric_add(&host->stats->messages_refused, 1);
        refuse(session, error);
    }
    if (session->pending == 0)
        host->events->settled(session);
}

void session_close(struct session *session)
{
    if (session->host)
        channels_leave(&session->host->channels, &session->subscription);
}

static struct block *encode(enum wire wire, struct block *block, const struct message *message)
{
    unsigned char header[WEBSOCKET_HEADER_LIMIT];
    size_t size = websocket_write_header(
        header, message->kind == MESSAGE_TEXT ? WEBSOCKET_TEXT : WEBSOCKET_BINARY,
        message->data_size);

    (void)wire; /* there is one so far */
    block = block_reserve(block, size + message->data_size);
    block_append(block, header, size);
    block_append(block, message->data, message->data_size);
    return block;
}

static void deliver(struct subscription *subscription, struct block *frames, size_t messages)
{
    struct session *session = session_of(subscription);

    session->host->events->send(session, frames, messages);
}

static void opened(struct subscription *subscription, int error)
{
    struct session *session = session_of(subscription);

    if (error)
        session_close(session);
    session->host->events->opened(session, error);
}

const struct channel_sink session_sink = {encode, deliver, opened};
