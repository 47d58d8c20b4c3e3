/*
 * The scripts rely on what Redis 7 does: effects are replicated, not the script; whether memory is
 * short is decided once, before the script starts, so that a script's first write fails or none; an
 * error of a command inside keeps its first word (WRONGTYPE, OOM, …).
 *
 * Numbers are doubles in Lua, exact up to 2^53: at a million messages a second that is 285 years.
 * `..` would print large ones as 1e+15, hence `digits`.
 *
 * A stored or published message is the publisher's envelope with the fields `epoch` (2) and
 * `offset` (3) appended: in protobuf the last value of a field counts, so the script need not parse
 * it.
 */
#include "gateway/redis_script.h"

#include <string.h>

#include "common/decimal.h"
#include "gateway/redis_script_ask.h"

static const char prelude[] =
    "local function digits(n) return string.format('%.0f', n) end\n"
    "local function number(text) return tonumber(text or 0) or 0 end\n"
    "local function stamp(envelope, epoch, offset)\n"
    "    return envelope .. '\\18' .. string.char(#epoch) .. epoch ..\n"
    "        '\\25' .. struct.pack('<I8', offset)\n"
    "end\n"
    /* A stream without its meta hash is a history of which nobody knows the epoch. */
    "local function clear(stream)\n"
    "    if redis.call('TYPE', stream).ok == 'stream' then redis.call('DEL', stream) end\n"
    "end\n"
    /* What is not kept ends what was kept before it: a history has no holes. */
    "local function keep(stream, offset, bytes, size, ttl)\n"
    "    if size == 0 then return clear(stream) end\n"
    "    redis.call('XADD', stream, 'MAXLEN', '=', digits(size), digits(offset) .. '-0',\n"
    "        'm', bytes)\n"
    "    redis.call('PEXPIRE', stream, digits(ttl))\n"
    "end\n"
    "local DAY = 24 * 60 * 60 * 1000\n";

/*
 * KEYS: stream, meta, producer, and the idempotency key where the message has one. ARGV: sequence;
 * the sequence before it that is in flight on this channel, or 0; envelope; history size; history
 * ttl; epoch to use where there is none; topic; how long an idempotency key is known.
 *
 * An idempotency key tells where its message stands, and who sent it, so that a publish that is
 * sent again is not taken for the repetition of itself. One that stands in a history that was lost
 * since does not count. Whoever repeats a key has published all the same: the sequence moves on.
 *
 * GAP keeps a sender's order: when a message of a pipeline failed, those behind it fail, too, and
 * all are sent again. The stream is written first, because it is what fails (WRONGTYPE, OOM), and
 * nothing may have happened then. The meta hash outlives the stream by a day, so that the offsets
 * of a quiet channel go on and clients that come back are not told of a loss that was none.
 */
static const char publish[] =
    "local stream, meta, producer = KEYS[1], KEYS[2], KEYS[3]\n"
    "local sequence, previous = tonumber(ARGV[1]), tonumber(ARGV[2])\n"
    "local envelope, size, ttl = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local last = number(redis.call('GET', producer))\n"
    "local state = redis.call('HMGET', meta, 'e', 'o')\n"
    "local epoch, top = state[1], number(state[2])\n"
    "local sender = string.match(producer, '%x+$') .. ' ' .. ARGV[1]\n"
    "local function told()\n"
    "    local place = KEYS[4] and redis.call('GET', KEYS[4])\n"
    "    if not place or not epoch then return nil end\n"
    "    local life, offset, by = string.match(place, '^(%S+) (%d+) (.*)$')\n"
    "    offset = number(offset)\n"
    "    if life ~= epoch then\n"
    "        local fork = redis.call('HMGET', meta, 'prev', 'fork')\n"
    "        if life ~= fork[1] or offset > number(fork[2]) then return nil end\n"
    "    end\n"
    "    return {epoch, offset, top, by == sender and 0 or 1}\n"
    "end\n"
    "if last >= sequence then\n"
    "    local place = told()\n"
    "    if place then return place end\n"
    "    local entries = redis.pcall('XREVRANGE', stream, '+', '-', 'COUNT', 64)\n"
    "    for _, entry in ipairs(entries) do\n"
    "        if string.sub(entry[2][2], 1, #envelope) == envelope then\n"
    "            return {epoch or '', number(string.match(entry[1], '^%d+')), top, 0}\n"
    "        end\n"
    "    end\n"
    "    return {epoch or '', 0, top, 0}\n"
    "end\n"
    "if previous ~= 0 and last ~= previous then\n"
    "    local kind = redis.call('TYPE', stream).ok\n"
    "    if kind ~= 'none' and kind ~= 'stream' then\n"
    "        return redis.error_reply('WRONGTYPE the history is no stream')\n"
    "    end\n"
    "    return redis.error_reply('GAP the message before this one is missing')\n"
    "end\n"
    "local place = told()\n"
    "if place then\n"
    "    redis.call('SET', producer, ARGV[1], 'PX', digits(DAY))\n"
    "    return place\n"
    "end\n"
    "if not epoch then\n"
    "    clear(stream)\n"
    "    epoch, top = ARGV[6], 0\n"
    "end\n"
    "top = top + 1\n"
    "local bytes = stamp(envelope, epoch, top)\n"
    "keep(stream, top, bytes, size, ttl)\n"
    "redis.call('HSET', meta, 'e', epoch, 'o', digits(top))\n"
    "redis.call('PEXPIRE', meta, digits(ttl + DAY))\n"
    "redis.call('SET', producer, ARGV[1], 'PX', digits(DAY))\n"
    "if KEYS[4] then\n"
    "    redis.call('SET', KEYS[4], epoch .. ' ' .. digits(top) .. ' ' .. sender, 'PX', ARGV[8])\n"
    "end\n"
    "redis.call('PUBLISH', ARGV[7], bytes)\n"
    "return {epoch, top, top, 0}\n";

/*
 * KEYS: stream, meta. ARGV: our epoch, or nothing; our offset, or -1 to ask for the present one;
 * most entries, roughly; most bytes, beyond which one more entry may go; most bytes of one entry (a
 * larger one comes back empty). Writes nothing. See redis_attach.c for what the answers lead to.
 *
 * Entries may be large, so few are taken out of the stream at a time: by fours it takes a quarter
 * longer than by sixteens, one by one more than twice as long.
 */
static const char attach[] =
    "local stream, meta = KEYS[1], KEYS[2]\n"
    "local mine, position = ARGV[1], tonumber(ARGV[2])\n"
    "local state = redis.call('HMGET', meta, 'e', 'o', 'prev', 'fork')\n"
    "local epoch, top, fork = state[1], number(state[2]), number(state[4])\n"
    "if position < 0 then return {'at', epoch or '', top, top, {}} end\n"
    "if not epoch then return {mine == '' and 'at' or 'lost', '', 0, 0, {}} end\n"
    "local status, from = 'at', position\n"
    "if mine == '' or mine == epoch then\n"
    "    if position > top then status = 'ahead' end\n"
    "elseif mine ~= state[3] then\n"
    "    status, from = 'foreign', 0\n"
    "elseif position > fork then\n"
    "    if top == fork then status = 'ahead' else status, from = 'conflict', fork end\n"
    "end\n"
    "local entries = {}\n"
    "local function add(entry)\n"
    "    local value = entry[2][2]\n"
    "    local offset = number(string.match(entry[1], '^%d+'))\n"
    "    entries[#entries + 1] = offset\n"
    "    entries[#entries + 1] = #value <= tonumber(ARGV[5]) and value or ''\n"
    "    return offset, #value\n"
    "end\n"
    "if status == 'ahead' then\n"
    "    for _, entry in ipairs(redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)) do\n"
    "        add(entry)\n"
    "    end\n"
    "    return {status, epoch, top, from, entries}\n"
    "end\n"
    "local last, bytes = from, 0\n"
    "while last < top and #entries < 2 * tonumber(ARGV[3]) and bytes < tonumber(ARGV[4]) do\n"
    "    local batch = redis.call('XRANGE', stream, '(' .. digits(last) .. '-0', '+', 'COUNT', 4)\n"
    "    if #batch == 0 then break end\n"
    "    for _, entry in ipairs(batch) do\n"
    "        local size\n"
    "        last, size = add(entry)\n"
    "        bytes = bytes + size\n"
    "        if bytes >= tonumber(ARGV[4]) then break end\n"
    "    end\n"
    "end\n"
    "return {status, epoch, top, from, entries}\n";

/*
 * KEYS: stream, meta, producer without its id, what the name of an idempotency key begins with.
 * ARGV: our epoch, our offset, the new epoch, history size, history ttl, topic, the offset at which
 * ATTACH has found the channel (0: not at all), how long an idempotency key is known, then for each
 * message that we still have, oldest first: offset, publisher, sequence, idempotency key, envelope.
 *
 * Gives Redis back what it lost and we have seen. Where it has no history, or an older state of
 * ours (it came back from a snapshot), a new epoch forks off at our offset; where another gateway
 * has done so already and nobody published since, its fork moves up to our offset. Otherwise
 * nothing is done, and the next ATTACH tells why. The last message is published, so that whoever is
 * behind looks.
 */
static const char restore[] =
    "local stream, meta, producers = KEYS[1], KEYS[2], KEYS[3]\n"
    "local mine, position, epoch = ARGV[1], tonumber(ARGV[2]), ARGV[3]\n"
    "local size, ttl = tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local state = redis.call('HMGET', meta, 'e', 'o', 'prev', 'fork')\n"
    "local top = number(state[2])\n"
    "if not state[1] then\n"
    "    clear(stream)\n"
    "    top = 0\n"
    "elseif top ~= tonumber(ARGV[7]) or top >= position then\n"
    "    return 0\n"
    "elseif state[1] ~= mine then\n"
    "    if state[3] ~= mine or number(state[4]) ~= top then return 0 end\n"
    "    epoch = state[1]\n"
    "end\n"
    "local bytes\n"
    "for i = 9, #ARGV - 4, 5 do\n"
    "    local offset = tonumber(ARGV[i])\n"
    "    if offset > top and offset <= position then\n"
    "        bytes = stamp(ARGV[i + 4], epoch, offset)\n"
    "        keep(stream, offset, bytes, size, ttl)\n"
    "        local producer = producers .. ARGV[i + 1]\n"
    "        if number(redis.call('GET', producer)) < tonumber(ARGV[i + 2]) then\n"
    "            redis.call('SET', producer, ARGV[i + 2], 'PX', digits(DAY))\n"
    "        end\n"
    "        if ARGV[i + 3] ~= '' then\n"
    "            redis.call('SET', KEYS[4] .. ARGV[i + 3] .. ':', epoch .. ' ' .. digits(offset) "
    ".. ' ' ..\n"
    "                ARGV[i + 1] .. ' ' .. ARGV[i + 2], 'PX', ARGV[8])\n"
    "        end\n"
    "    end\n"
    "end\n"
    "redis.call('HSET', meta, 'e', epoch, 'o', digits(position), 'prev', mine,\n"
    "    'fork', digits(position))\n"
    "redis.call('PEXPIRE', meta, digits(ttl + DAY))\n"
    "if bytes then redis.call('PUBLISH', ARGV[6], bytes) end\n"
    "return 1\n";

/*
 * KEYS: boot. ARGV: the id that we know, or nothing; an id to use for a new life; how long
 * publishes rest when a gateway finds that the data had another life before (ms). Where memory is
 * too short to note a new life it answers without one, which is another than any.
 *
 * PERSIST is a write that needs no memory: a read-only replica shows itself here. INFO may be
 * forbidden to our user; a restart that keeps the data goes unnoticed then, one that loses it not.
 */
static const char hello[] =
    "local boot, known, fresh, rest = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])\n"
    "redis.call('PERSIST', boot)\n"
    "local info = redis.pcall('INFO', 'server')\n"
    "local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''\n"
    "local time = redis.call('TIME')\n"
    "local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)\n"
    "local state = redis.call('HMGET', boot, 'id', 'run', 'until')\n"
    "local id, till = state[1], number(state[3])\n"
    "if not id or (run ~= '' and state[2] ~= run) then\n"
    "    id, till = fresh, 0\n"
    "    local result = redis.pcall('HSET', boot, 'id', id, 'run', run, 'until', '0')\n"
    "    if type(result) == 'table' and result.err then\n"
    "        if string.sub(result.err, 1, 3) == 'OOM' then\n"
    "            return {'', known ~= '' and rest or 0}\n"
    "        end\n"
    "        return result\n"
    "    end\n"
    "end\n"
    "if known ~= '' and known ~= id and till == 0 then\n"
    "    till = now + rest\n"
    "    redis.pcall('HSET', boot, 'until', digits(till))\n"
    "end\n"
    "return {id, math.max(0, till - now)}\n";

void redis_script_text(enum redis_script script, struct buffer *text)
{
    static const char *const bodies[REDIS_SCRIPT_COUNT] = {
        [REDIS_SCRIPT_PUBLISH] = publish,
        [REDIS_SCRIPT_ATTACH] = attach,
        [REDIS_SCRIPT_RESTORE] = restore,
        [REDIS_SCRIPT_HELLO] = hello,
        [REDIS_SCRIPT_HISTORY] = redis_script_history,
        [REDIS_SCRIPT_FORGET] = redis_script_forget,
        [REDIS_SCRIPT_ANNOUNCE] = redis_script_announce,
        [REDIS_SCRIPT_LEAVE] = redis_script_leave,
        [REDIS_SCRIPT_PRESENT] = redis_script_present,
    };

    buffer_append_text(text, prelude);
    buffer_append_text(text, bodies[script]);
}

static void end_with_zero(struct buffer *text)
{
    *buffer_reserve(text, 1) = '\0';
}

void redis_key(struct buffer *key, const char *prefix, const char *channel, size_t channel_size,
               const char *end)
{
    buffer_append_text(key, prefix);
    buffer_append_text(key, ":{");
    buffer_append(key, channel, channel_size);
    buffer_append_text(key, "}");
    buffer_append_text(key, end);
    end_with_zero(key);
}

void redis_topic(struct buffer *topic, const char *prefix, uint32_t database, const char *channel,
                 size_t channel_size)
{
    buffer_append_text(topic, prefix);
    buffer_append_text(topic, ":");
    buffer_append_number(topic, database);
    buffer_append_text(topic, ":{");
    buffer_append(topic, channel, channel_size);
    buffer_append_text(topic, "}");
    end_with_zero(topic);
}

/* Takes `expected` from the start of a text; false where it begins with something else. */
static bool take(struct text *text, const char *expected, size_t size)
{
    if (text->size < size || memcmp(text->data, expected, size) != 0)
        return false;
    text->data += size;
    text->size -= size;
    return true;
}

bool redis_topic_channel(const char *prefix, uint32_t database, const char *topic,
                         size_t topic_size, const char **channel, size_t *channel_size)
{
    struct text rest = {topic, topic_size};
    char digits[DECIMAL_DIGITS];
    size_t digit_count = decimal_write(digits, database);
    bool is_ours = take(&rest, prefix, strlen(prefix)) && take(&rest, ":", 1) &&
                   take(&rest, digits, digit_count) && take(&rest, ":{", 2) && rest.size > 1 &&
                   rest.data[rest.size - 1] == '}';

    *channel = rest.data;
    *channel_size = is_ours ? rest.size - 1 : 0;
    return is_ours && *channel_size <= MESSAGE_CHANNEL_LIMIT;
}

void redis_format_id(char text[REDIS_ID_SIZE + 1], uint64_t id)
{
    for (int i = REDIS_ID_SIZE - 1; i >= 0; i--, id >>= 4)
        text[i] = "0123456789abcdef"[id & 15];
    text[REDIS_ID_SIZE] = '\0';
}

bool redis_read_published(const redisReply *reply, struct redis_published *published)
{
    return redis_reply_copy_text(redis_reply_at(reply, 0), published->epoch, MESSAGE_EPOCH_LIMIT) &&
           redis_reply_number(redis_reply_at(reply, 1), &published->offset) &&
           redis_reply_number(redis_reply_at(reply, 2), &published->top) &&
           redis_reply_flag(redis_reply_at(reply, 3), &published->is_repeat);
}

static bool read_status(const redisReply *reply, enum redis_attach_status *status)
{
    static const char *const names[] = {
        [REDIS_ATTACH_AT] = "at",
        [REDIS_ATTACH_LOST] = "lost",
        [REDIS_ATTACH_AHEAD] = "ahead",
        [REDIS_ATTACH_FOREIGN] = "foreign",
        [REDIS_ATTACH_CONFLICT] = "conflict",
    };
    char name[16];

    if (!redis_reply_copy_text(reply, name, sizeof(name) - 1))
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *status = (enum redis_attach_status)i;
            return true;
        }
    }
    return false;
}

bool redis_read_attached(const redisReply *reply, struct redis_attached *attached)
{
    attached->entries = redis_reply_at(reply, 4);
    return read_status(redis_reply_at(reply, 0), &attached->status) &&
           redis_reply_copy_text(redis_reply_at(reply, 1), attached->epoch, MESSAGE_EPOCH_LIMIT) &&
           redis_reply_number(redis_reply_at(reply, 2), &attached->top) &&
           redis_reply_number(redis_reply_at(reply, 3), &attached->from) && attached->entries &&
           attached->entries->type == REDIS_REPLY_ARRAY;
}

bool redis_attached_entry(const struct redis_attached *attached, size_t index, uint64_t *offset,
                          const redisReply **envelope)
{
    *envelope = redis_reply_at(attached->entries, 2 * index + 1);
    return *envelope && redis_reply_is_text(*envelope) &&
           redis_reply_number(redis_reply_at(attached->entries, 2 * index), offset);
}

bool redis_read_hello(const redisReply *reply, struct redis_hello *hello_answer)
{
    return redis_reply_copy_text(redis_reply_at(reply, 0), hello_answer->id, REDIS_ID_SIZE) &&
           redis_reply_number(redis_reply_at(reply, 1), &hello_answer->rest_ms);
}
