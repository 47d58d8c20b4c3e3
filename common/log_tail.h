/*
 * The newest lines of the log, in memory, for operators who look at the console: LOG_TAIL_LINES of
 * them, each with a number that grows by one from 1. Any thread.
 */
#ifndef COMMON_LOG_TAIL_H
#define COMMON_LOG_TAIL_H

#include <stdint.h>

#include "common/buffer.h"

#define LOG_TAIL_LINES 200

/* Keeps a line, which has no end-of-line in it, in place of the oldest. */
void log_tail_keep(const char *line, size_t size);

/* Appends what is left of the lines whose number is above `after`, oldest first, each as
 * "NUMBER LINE\n". */
void log_tail_append(struct buffer *text, uint64_t after);

#endif
