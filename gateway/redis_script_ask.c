/*
 * None of these scripts keeps Redis for long: each call reads a bounded piece, and whoever asks
 * comes back for the next.
 *
 * A client is listed until the deadline that its gateway moved on last. Dead ones are swept out by
 * whoever comes by, and the keys' own expiry takes what nobody comes by for.
 */
#include "gateway/redis_script_ask.h"

#include <string.h>

#include "common/protobuf_field.h"

enum { PRESENT_USER = 1, PRESENT_INFO }; /* the fields of a Present */

/*
 * KEYS: stream, meta. ARGV: an epoch, or nothing; an offset in it; 1 for newest first, else 0; most
 * entries; most bytes, beyond which one more entry may go; most bytes of one entry (a larger one
 * comes back empty); an epoch for a channel that has none, or nothing, and then nothing is written.
 *
 * A position is ours in the present epoch, or in the one before up to the fork.
 */
const char redis_script_history[] =
    "local stream, meta = KEYS[1], KEYS[2]\n"
    "local mine, position, reverse = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'\n"
    "local count, room, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])\n"
    "local fresh = ARGV[7]\n"
    "local state = redis.call('HMGET', meta, 'e', 'o', 'prev', 'fork')\n"
    "local epoch, top = state[1], number(state[2])\n"
    "local asked, lost = mine ~= '', 0\n"
    "if not epoch and fresh ~= '' then\n"
    "    local result = redis.pcall('HSET', meta, 'e', fresh, 'o', '0')\n"
    "    if type(result) ~= 'table' then\n"
    "        redis.call('PEXPIRE', meta, digits(DAY))\n"
    "        epoch, top = fresh, 0\n"
    "    end\n"
    "end\n"
    "if not epoch then return {'', 0, asked and 1 or 0, 0, {}, '', 0} end\n"
    "if asked then\n"
    "    local reach = -1\n"
    "    if mine == epoch then reach = top elseif mine == state[3] then reach = number(state[4]) "
    "end\n"
    "    if reverse and reach >= 0 then reach = reach + 1 end\n"
    "    if position > reach then asked, lost = false, 1 end\n"
    "end\n"
    "if not asked then position = reverse and top + 1 or 0 end\n"
    "local step = reverse and -1 or 1\n"
    "local function read(after, most)\n"
    "    local from = '(' .. digits(after) .. '-0'\n"
    "    if not reverse then return redis.call('XRANGE', stream, from, '+', 'COUNT', most) end\n"
    "    if after <= 1 then return {} end\n"
    "    return redis.call('XREVRANGE', stream, from, '-', 'COUNT', most)\n"
    "end\n"
    "local function offset_of(entry) return number(string.match(entry[1], '^%d+')) end\n"
    "if asked then\n"
    "    local next = position + step\n"
    "    local entry = read(position, 1)[1]\n"
    "    if next >= 1 and next <= top and not (entry and offset_of(entry) == next) then\n"
    "        lost = 1\n"
    "    end\n"
    "end\n"
    "local entries, bytes, last = {}, 0, position\n"
    "local function answer(more)\n"
    "    return {epoch, top, lost, more, entries, state[3] or '', number(state[4])}\n"
    "end\n"
    "while #entries < 2 * count and bytes < room do\n"
    "    local batch = read(last, math.min(4, count - #entries / 2))\n"
    "    if #batch == 0 then return answer(0) end\n"
    "    for _, entry in ipairs(batch) do\n"
    "        local value = entry[2][2]\n"
    "        local offset = offset_of(entry)\n"
    "        if #entries > 0 and offset ~= last + step then lost = 1 end\n"
    "        last, bytes = offset, bytes + #value\n"
    "        entries[#entries + 1] = offset\n"
    "        entries[#entries + 1] = #value <= limit and value or ''\n"
    "        if bytes >= room then break end\n"
    "    end\n"
    "end\n"
    "return answer(1)\n";

/* KEYS: stream. */
const char redis_script_forget[] =
    "if redis.call('TYPE', KEYS[1]).ok == 'stream' then redis.call('UNLINK', KEYS[1]) end\n"
    "return 1\n";

#define SWEEPING                                                                                   \
    "local who, deadlines = KEYS[1], KEYS[2]\n"                                                    \
    "local time = redis.call('TIME')\n"                                                            \
    "local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)\n"                \
    "local dead = redis.call('ZRANGEBYSCORE', deadlines, '-inf', digits(now), 'LIMIT', 0, 100)\n"  \
    "if #dead > 0 then\n"                                                                          \
    "    redis.call('ZREM', deadlines, unpack(dead))\n"                                            \
    "    redis.call('HDEL', who, unpack(dead))\n"                                                  \
    "end\n"

/* KEYS: who, deadlines. ARGV: how long they are there (ms), then client and Present by turns. */
const char redis_script_announce[] =
    SWEEPING "local ttl = tonumber(ARGV[1])\n"
             "for i = 2, #ARGV - 1, 2 do\n"
             "    redis.call('ZADD', deadlines, digits(now + ttl), ARGV[i])\n"
             "    redis.call('HSET', who, ARGV[i], ARGV[i + 1])\n"
             "end\n"
             "redis.call('PEXPIRE', deadlines, digits(ttl))\n"
             "redis.call('PEXPIRE', who, digits(ttl))\n"
             "return 1\n";

/* KEYS: who, deadlines. ARGV: clients that are gone. */
const char redis_script_leave[] = "redis.call('ZREM', KEYS[2], unpack(ARGV))\n"
                                  "redis.call('HDEL', KEYS[1], unpack(ARGV))\n"
                                  "return 1\n";

/* KEYS: who, deadlines. ARGV: cursor, or 0; how many, roughly; most bytes of what says who it is
 * (of a larger one only the client comes). */
const char redis_script_present[] =
    SWEEPING "local page = redis.call('HSCAN', who, ARGV[1], 'COUNT', ARGV[2])\n"
             "local entries = {}\n"
             "for i = 1, #page[2], 2 do\n"
             "    local client, present = page[2][i], page[2][i + 1]\n"
             "    if (tonumber(redis.call('ZSCORE', deadlines, client) or 0) or 0) > now then\n"
             "        entries[#entries + 1] = client\n"
             "        entries[#entries + 1] = #present <= tonumber(ARGV[3]) and present or ''\n"
             "    end\n"
             "end\n"
             "return {page[1], entries}\n";

static bool is_array(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ARRAY;
}

bool redis_read_history(const redisReply *reply, struct redis_history_page *page)
{
    page->entries = redis_reply_at(reply, 4);
    return redis_reply_copy_text(redis_reply_at(reply, 0), page->epoch, MESSAGE_EPOCH_LIMIT) &&
           redis_reply_number(redis_reply_at(reply, 1), &page->top) &&
           redis_reply_flag(redis_reply_at(reply, 2), &page->is_lost) &&
           redis_reply_flag(redis_reply_at(reply, 3), &page->has_more) && is_array(page->entries) &&
           redis_reply_copy_text(redis_reply_at(reply, 5), page->previous, MESSAGE_EPOCH_LIMIT) &&
           redis_reply_number(redis_reply_at(reply, 6), &page->fork);
}

bool redis_history_entry(const struct redis_history_page *page, size_t index, uint64_t *offset,
                         const redisReply **envelope)
{
    *envelope = redis_reply_at(page->entries, 2 * index + 1);
    return *envelope && redis_reply_is_text(*envelope) &&
           redis_reply_number(redis_reply_at(page->entries, 2 * index), offset);
}

bool redis_read_present(const redisReply *reply, struct redis_present_page *page)
{
    page->entries = redis_reply_at(reply, 1);
    return redis_reply_copy_text(redis_reply_at(reply, 0), page->cursor,
                                 sizeof(page->cursor) - 1) &&
           page->cursor[0] != '\0' && is_array(page->entries);
}

static struct text text_of_field(const struct protobuf_field *field)
{
    return (struct text){(const char *)field->data, field->size};
}

/* False where it is no Present, or one beyond the limits. */
static bool read_present(const unsigned char *at, size_t size, struct bus_present *who)
{
    const unsigned char *end = at + size;
    struct protobuf_field field;

    while (protobuf_field_read(&at, end, &field)) {
        if (field.type != PROTOBUF_BYTES)
            continue;
        if (field.number == PRESENT_USER)
            who->user = text_of_field(&field);
        else if (field.number == PRESENT_INFO)
            who->info = text_of_field(&field);
    }
    return at == end && who->user.size <= BUS_USER_LIMIT && who->info.size <= BUS_INFO_LIMIT;
}

size_t redis_present_count(const struct redis_present_page *page)
{
    return page->entries->elements / 2;
}

bool redis_present_entry(const struct redis_present_page *page, size_t index,
                         struct bus_present *who)
{
    const redisReply *client = redis_reply_at(page->entries, 2 * index);
    const redisReply *present = redis_reply_at(page->entries, 2 * index + 1);

    *who = (struct bus_present){0};
    if (!client || !present || !redis_reply_is_text(client) || !redis_reply_is_text(present) ||
        client->len < 1 || (size_t)client->len > BUS_CLIENT_LIMIT)
        return false;
    if (!read_present((const unsigned char *)present->str, (size_t)present->len, who))
        *who = (struct bus_present){0};
    who->client = (struct text){client->str, (size_t)client->len};
    return true;
}

void redis_present_append(struct buffer *output, const struct bus_present *who)
{
    size_t size = field_bytes_size(PRESENT_USER, who->user.size) +
                  field_bytes_size(PRESENT_INFO, who->info.size);
    unsigned char *at;

    if (size == 0)
        return;
    at = buffer_reserve(output, size);
    at = field_bytes_write(at, PRESENT_USER, who->user.data, who->user.size);
    field_bytes_write(at, PRESENT_INFO, who->info.data, who->info.size);
    output->size += size;
}
