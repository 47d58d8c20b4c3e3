/*
 * Scripts are called by their hashes, which Redis tells when it loads them, and it forgets them
 * with a restart, a SCRIPT FLUSH or a failover. So every connection begins with loading all of
 * them, and goes on when a PING after the last one is answered.
 */
#include "gateway/redis_hello.h"

#include <string.h>

#include "common/log.h"
#include "gateway/bus_redis.h"

static void on_loaded(void *context, uint64_t script, const redisReply *reply)
{
    struct redis_bus *bus = context;

    bus->is_loading = false;
    if (!reply)
        return;
    if (redis_reply_is_error(reply))
        redis_link_drop(&bus->commands, reply->str);
    else if (!redis_reply_copy_text(reply, bus->scripts[script], REDIS_SHA_SIZE) ||
             strlen(bus->scripts[script]) != REDIS_SHA_SIZE)
        redis_link_drop(&bus->commands, "SCRIPT LOAD answered nonsense");
}

static void load_scripts(struct redis_bus *bus)
{
    bus->is_loading = true;
    for (unsigned script = 0; script < REDIS_SCRIPT_COUNT; script++) {
        redis_command_begin(&bus->command);
        redis_command_add_text(&bus->command, "SCRIPT");
        redis_command_add_text(&bus->command, "LOAD");
        redis_script_text((enum redis_script)script, &bus->command.bytes);
        redis_command_end_word(&bus->command);
        redis_command_send(&bus->command, &bus->commands, on_loaded, bus, script);
    }
}

static void on_hello(void *context, uint64_t tag, const redisReply *reply)
{
    struct redis_bus *bus = context;
    struct redis_hello hello;

    (void)tag;
    if (!reply)
        return;
    if (redis_reply_is_error(reply))
        redis_link_drop(&bus->commands, reply->str);
    else if (!redis_read_hello(reply, &hello))
        redis_link_drop(&bus->commands, "the hello script answered nonsense");
    else
        redis_bus_greeted(bus, &hello);
}

static void on_last_loaded(void *context, uint64_t tag, const redisReply *reply)
{
    struct redis_bus *bus = context;
    struct redis_command *command;

    (void)tag;
    if (!reply || !redis_link_is_ready(&bus->commands))
        return;
    command = redis_bus_begin(bus, REDIS_SCRIPT_HELLO, 1);
    buffer_printf(&command->bytes, "%s:boot", bus->prefix);
    redis_command_end_word(command);
    redis_command_add_text(command, bus->life);
    redis_bus_add_fresh_epoch(bus);
    redis_command_add_number(command, REDIS_REST_MS);
    redis_command_send(command, &bus->commands, on_hello, bus, 0);
}

void redis_hello_start(struct redis_bus *bus)
{
    load_scripts(bus);
    redis_command_begin(&bus->command);
    redis_command_add_text(&bus->command, "PING");
    redis_command_send(&bus->command, &bus->commands, on_last_loaded, bus, 0);
}

void redis_hello_reload(struct redis_bus *bus)
{
    if (!redis_link_is_ready(&bus->commands) || bus->is_loading)
        return;
    log_event(LOG_INFO, log_name("redis forgot the scripts"));
    load_scripts(bus);
}
