#include "tests/bench/publishers.h"

#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "tests/bench/clock.h"

static void fill_with_letters(unsigned char *message, size_t size)
{
    for (size_t i = 0; i < size; i++)
        message[i] = (unsigned char)('a' + i % 26);
}

/* What applications send compresses to a third or so. The apostrophes stand where JSON has
 * quotation marks, so that the whole can stand in a JSON string. */
static void fill_with_records(unsigned char *message, size_t size)
{
    struct buffer text = {0};
    uint32_t random = 1;

    for (unsigned id = 1000; text.size < size; id++) {
        random = random * 1103515245 + 12345;
        buffer_printf(&text,
                      "{'id':%u,'user':'user-%u','price':%u.%02u,'change':-0.%03u,'open':%s},", id,
                      random >> 12 & 0xfff, random >> 8 & 0xffff, random >> 24 & 0x3f,
                      random >> 16 & 0x1ff, random & 0x10000 ? "true" : "false");
    }
    memcpy(message, text.data, size);
    buffer_deinit(&text);
}

void publishers_init(struct publishers *publishers, const struct arguments *arguments,
                     struct client *clients, struct ledger *ledger)
{
    *publishers = (struct publishers){
        .arguments = arguments,
        .clients = clients,
        .ledger = ledger,
        .message = memory_allocate(arguments->size),
        .sequences = memory_zeroed(arguments->publishers, sizeof(uint32_t)),
        .sent_limit = UINT64_MAX,
    };
    if (arguments->has_records)
        fill_with_records(publishers->message, arguments->size);
    else
        fill_with_letters(publishers->message, arguments->size);
}

void publishers_deinit(struct publishers *publishers)
{
    memory_free(publishers->message);
    memory_free(publishers->sequences);
}

void publishers_start(struct publishers *publishers, uint64_t now_ns)
{
    publishers->scheduled_from_ns = now_ns;
}

static uint64_t scheduled_ns(const struct publishers *publishers)
{
    double seconds = (double)publishers->sent / publishers->arguments->rate;

    return publishers->scheduled_from_ns + (uint64_t)(seconds * (double)CLOCK_SECOND_NS);
}

uint64_t publishers_next_due_ns(const struct publishers *publishers)
{
    if (publishers->arguments->rate > 0 && publishers->sent < publishers->sent_limit)
        return scheduled_ns(publishers);
    return UINT64_MAX;
}

static struct client *client_of(struct publishers *publishers, uint64_t publisher)
{
    return &publishers->clients[publisher * publishers->arguments->channels];
}

static void send_message(struct publishers *publishers, uint64_t due_ns)
{
    uint32_t publisher = (uint32_t)(publishers->sent++ % publishers->arguments->publishers);

    ledger_stamp(publishers->ledger, (char *)publishers->message, publisher,
                 publishers->sequences[publisher]++, due_ns);
    client_write_message(client_of(publishers, publisher), publishers->message,
                         publishers->arguments->size);
}

void publishers_publish(struct publishers *publishers, uint64_t now_ns, uint64_t end_ns)
{
    const struct arguments *arguments = publishers->arguments;
    uint64_t before = publishers->sent;
    uint64_t completed = ledger_completed(publishers->ledger);

    while (publishers->sent < publishers->sent_limit) {
        uint64_t due_ns = arguments->rate > 0 ? scheduled_ns(publishers) : now_ns;

        if (due_ns > now_ns || due_ns >= end_ns)
            break;
        if (arguments->rate == 0 && publishers->sent - completed >= arguments->window)
            break;
        send_message(publishers, due_ns);
    }
    /* What one publisher sends at a time leaves in one write. */
    for (uint64_t i = before; i < publishers->sent && i < before + arguments->publishers; i++)
        client_flush(client_of(publishers, i % arguments->publishers));
}

bool publishers_is_intact(const struct publishers *publishers, const unsigned char *data,
                          size_t size)
{
    return size == publishers->arguments->size &&
           memcmp(data + LEDGER_STAMP_BYTES, publishers->message + LEDGER_STAMP_BYTES,
                  size - LEDGER_STAMP_BYTES) == 0;
}
