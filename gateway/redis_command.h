/* A Redis command under construction: words of any bytes, collected in one buffer that is used
 * again for the next command. Zero-initialised it is empty. */
#ifndef GATEWAY_REDIS_COMMAND_H
#define GATEWAY_REDIS_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/message.h"
#include "gateway/redis_link.h"

struct redis_command {
    struct buffer bytes; /* all words, one after the other */
    size_t *ends;        /* where each word ends in `bytes` */
    size_t count;
    size_t capacity;
    const char **words; /* room for the pointers and sizes that the link wants */
    size_t *sizes;
};

/* Starts afresh. */
void redis_command_begin(struct redis_command *command);

void redis_command_add(struct redis_command *command, const void *word, size_t size);
void redis_command_add_text(struct redis_command *command, const char *word);
void redis_command_add_number(struct redis_command *command, uint64_t number);

/* Adds the message as an envelope without epoch and offset, which are the bus's to assign. */
void redis_command_add_envelope(struct redis_command *command, const struct message *message);

/* Ends the word that was appended to `command->bytes` by hand. */
void redis_command_end_word(struct redis_command *command);

/* Sends the command; see redis_link_send. */
void redis_command_send(struct redis_command *command, struct redis_link *link,
                        redis_answered *answered, void *context, uint64_t tag);

void redis_command_deinit(struct redis_command *command);

#endif
