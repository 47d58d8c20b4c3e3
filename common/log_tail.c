#include "common/log_tail.h"

#include <pthread.h>

#include "common/memory.h"

struct kept {
    const char *text;
    size_t size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept lines[LOG_TAIL_LINES]; /* line n is at n % LOG_TAIL_LINES */
static uint64_t newest;                   /* its number; 0: there is none */

void log_tail_keep(const char *line, size_t size)
{
    struct kept fresh = {.text = memory_copy_text(line, size), .size = size};

    pthread_mutex_lock(&lock);

    struct kept *place = &lines[++newest % LOG_TAIL_LINES];
    const char *old = place->text;

    *place = fresh;
    pthread_mutex_unlock(&lock);
    memory_free(old);
}

void log_tail_append(struct buffer *text, uint64_t after)
{
    pthread_mutex_lock(&lock);

    uint64_t gone = newest > LOG_TAIL_LINES ? newest - LOG_TAIL_LINES : 0;

    for (uint64_t i = after > gone ? after : gone; i < newest; i++) {
        const struct kept *line = &lines[(i + 1) % LOG_TAIL_LINES];

        buffer_printf(text, "%llu ", (unsigned long long)i + 1);
        buffer_append(text, line->text, line->size);
        buffer_append_text(text, "\n");
    }
    pthread_mutex_unlock(&lock);
}
