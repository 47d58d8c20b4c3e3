/*
 * Before the position is known, live messages are gathered in the history all the same: the channel
 * was subscribed before the question was put, so the answer and what was gathered overlap or touch.
 *
 * A client that has seen an empty channel has no epoch to name. What it missed is everything, if
 * the first message is still there.
 */
#include "gateway/recent.h"

#include <string.h>
#include <uv.h>

#include "common/memory.h"

#define ANSWERS_LIMIT 4 /* while a flood outruns them; then one counts as not recovered */

struct recent {
    struct recents *recents;
    struct list asking_link;
    struct list waiting; /* struct catch_up */
    struct history history;
    bool is_known;       /* the channel stands at (epoch, history.top) */
    bool is_asking;      /* a question is under way */
    uint64_t generation; /* of the question under way */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    char
        previous[MESSAGE_EPOCH_LIMIT + 1]; /* an epoch whose positions up to `fork` are good here */
    uint64_t fork;
    size_t channel_size;
    char channel[];
};

static struct catch_up *of_link(struct list *link)
{
    return container_of(link, struct catch_up, link);
}

static void ignore(struct history *history)
{
    (void)history;
}

void recents_init(struct recents *recents, uint64_t memory_limit, uint64_t reach,
                  void (*ask)(void *context, const struct recent_question *question), void *context)
{
    struct history_limits limits = {
        .message_limit = reach < RECENT_MESSAGES ? reach : RECENT_MESSAGES,
        .ttl_ms = UINT64_MAX / 2,
        .memory_limit = memory_limit,
    };

    *recents = (struct recents){.reach = reach, .ask = ask, .context = context};
    histories_init(&recents->family, &limits, ignore);
    list_init(&recents->asking);
}

void recents_deinit(struct recents *recents)
{
    memory_free(recents->scratch);
}

struct recent *recent_create(struct recents *recents, const char *channel, size_t channel_size)
{
    size_t bytes = sizeof(struct recent) + channel_size + 1;
    struct recent *recent = memory_zeroed(1, bytes);

    recent->recents = recents;
    list_init(&recent->asking_link);
    list_init(&recent->waiting);
    history_init(&recent->history, &recents->family, 0);
    recent->channel_size = channel_size;
    memcpy(recent->channel, channel, channel_size);
    return recent;
}

void recent_destroy(struct recent *recent)
{
    if (!recent)
        return;
    list_remove(&recent->asking_link);
    history_deinit(&recent->history);
    memory_free(recent);
}

static void want_answer(struct recent *recent)
{
    if (!recent->is_asking && list_is_empty(&recent->asking_link))
        list_append(&recent->recents->asking, &recent->asking_link);
}

/* Forgets what is known, and gathers anew. */
static void reset(struct recent *recent)
{
    history_deinit(&recent->history);
    recent->history.top = 0;
    recent->epoch[0] = '\0';
    recent->previous[0] = '\0';
    recent->is_known = false;
}

static bool follows(const struct recent *recent, const struct message *message)
{
    bool is_first = recent->epoch[0] == '\0';

    if (is_first && !recent->is_known)
        return true;
    return message->offset == recent->history.top + 1 &&
           (is_first || strcmp(recent->epoch, message->epoch) == 0);
}

bool recent_add(struct recent *recent, struct message *message)
{
    if (!follows(recent, message))
        return false;
    epoch_copy(recent->epoch, message->epoch);
    history_append(&recent->history, message, recent->recents->now_ms);
    return true;
}

void recent_lost(struct recent *recent)
{
    reset(recent);
    recent->is_asking = false; /* its answer is of another time */
    recent->generation = 0;
    for (struct list *at = recent->waiting.next; at != &recent->waiting; at = at->next)
        of_link(at)->is_asked = false;
    if (!list_is_empty(&recent->waiting))
        want_answer(recent);
}

/* Collecting messages in the scratch array. */

static void collect(struct recents *recents, size_t *count, struct message *message)
{
    if (*count == recents->scratch_capacity) {
        recents->scratch_capacity = recents->scratch_capacity ? recents->scratch_capacity * 2 : 64;
        recents->scratch =
            memory_resize(recents->scratch, recents->scratch_capacity * sizeof(struct message *));
    }
    recents->scratch[(*count)++] = message;
}

static size_t collect_kept(struct recent *recent, size_t count, uint64_t offset)
{
    struct history_reader reader;
    struct message *message;

    history_read(&recent->history, &reader, offset, HISTORY_FORWARD, UINT64_MAX);
    while ((message = history_next(&reader)))
        collect(recent->recents, &count, message);
    return count;
}

/* Those that follow `offset`, up to `top`: what is newer has still to come by itself. */
static size_t collect_page(struct recents *recents, const struct recent_page *page, uint64_t offset,
                           uint64_t top)
{
    size_t count = 0;

    for (size_t i = 0; i < page->message_count; i++) {
        if (page->messages[i]->offset > offset && page->messages[i]->offset <= top)
            collect(recents, &count, page->messages[i]);
    }
    return count;
}

/* True where the messages collected are all of those after `offset` up to where the channel is. */
static bool is_complete(const struct recent *recent, size_t count, uint64_t offset)
{
    for (size_t i = 0; i < count; i++) {
        if (recent->recents->scratch[i]->offset != offset + i + 1)
            return false;
    }
    return offset + count == recent->history.top;
}

static void finish(struct recent *recent, struct catch_up *catch_up, bool is_recovered,
                   size_t count)
{
    struct missed missed = {
        .epoch = recent->epoch,
        .offset = recent->history.top,
        .is_recovered = is_recovered,
        .messages = recent->recents->scratch,
        .message_count = is_recovered ? count : 0,
    };

    list_remove(&catch_up->link);
    catch_up->done(catch_up, &missed);
}

static void fail(struct catch_up *catch_up, int error)
{
    struct missed missed = {.error = error, .epoch = ""};

    list_remove(&catch_up->link);
    catch_up->done(catch_up, &missed);
}

/* Whether a position is one of the channel's: in its epoch, or in the one that it has continued. */
static bool is_ours(const struct recent *recent, const struct catch_up *catch_up)
{
    if (catch_up->epoch[0] == '\0')
        return catch_up->offset == 0; /* it saw nothing */
    if (strcmp(catch_up->epoch, recent->epoch) == 0)
        return catch_up->offset <= recent->history.top;
    return strcmp(catch_up->epoch, recent->previous) == 0 && catch_up->offset <= recent->fork;
}

/* Whether it can be caught up at all, as far as the position tells. */
static bool is_within_reach(const struct recent *recent, const struct catch_up *catch_up)
{
    return catch_up->has_position && is_ours(recent, catch_up) &&
           catch_up->offset <= recent->history.top &&
           recent->history.top - catch_up->offset <= recent->recents->reach;
}

/* Tells it what it missed, where that is known: from what is kept and, if there is one, a page that
 * was asked for. False where the bus has to be asked. */
static bool settle(struct recent *recent, struct catch_up *catch_up, const struct recent_page *page)
{
    size_t count;

    if (!recent->is_known)
        return false;
    if (!is_within_reach(recent, catch_up)) {
        finish(recent, catch_up, false, 0);
        return true;
    }
    count = collect_kept(recent, 0, catch_up->offset);
    if (!is_complete(recent, count, catch_up->offset) && page) {
        count = collect_page(recent->recents, page, catch_up->offset, recent->history.top);
        count = collect_kept(recent, count, catch_up->offset + count);
    }
    if (is_complete(recent, count, catch_up->offset)) {
        finish(recent, catch_up, true, count);
        return true;
    }
    if (page && (page->is_lost || ++catch_up->answers == ANSWERS_LIMIT)) {
        finish(recent, catch_up, false, 0);
        return true;
    }
    return false;
}

bool recent_position(const struct recent *recent, const char **epoch, uint64_t *offset)
{
    *epoch = recent->epoch;
    *offset = recent->history.top;
    return recent->is_known;
}

void recent_catch_up(struct recent *recent, struct catch_up *catch_up)
{
    catch_up->is_asked = false;
    catch_up->answers = 0;
    list_init(&catch_up->link);
    list_append(&recent->waiting, &catch_up->link);
    if (!settle(recent, catch_up, NULL))
        want_answer(recent);
}

bool recent_is_waiting(const struct catch_up *catch_up)
{
    return catch_up->link.next && !list_is_empty(&catch_up->link);
}

void recent_forget(struct catch_up *catch_up)
{
    if (catch_up->link.next)
        list_remove(&catch_up->link);
}

/* One question for all that wait: from the lowest position of those that name one epoch. */
static struct recent_question question_of(struct recent *recent)
{
    struct recent_question question = {
        .channel = recent->channel,
        .channel_size = recent->channel_size,
        .offset = UINT64_MAX,
    };
    const char *epoch = recent->is_known ? recent->epoch : NULL;

    for (struct list *at = recent->waiting.next; at != &recent->waiting; at = at->next) {
        struct catch_up *catch_up = of_link(at);

        catch_up->is_asked = true;
        if (!catch_up->has_position || catch_up->epoch[0] == '\0')
            continue;
        if (!epoch)
            epoch = catch_up->epoch;
        if ((recent->is_known ? is_ours(recent, catch_up) : strcmp(catch_up->epoch, epoch) == 0) &&
            catch_up->offset < question.offset)
            question.offset = catch_up->offset;
    }
    for (struct list *at = recent->waiting.next; at != &recent->waiting; at = at->next) {
        const struct catch_up *catch_up = of_link(at);

        if (catch_up->has_position && catch_up->epoch[0] == '\0')
            question.offset = 0; /* from the beginning: no epoch is needed */
    }
    if (question.offset == UINT64_MAX) {
        question.offset = 0;
        return question;
    }
    if (question.offset > 0 && epoch)
        epoch_copy(question.epoch, epoch);
    question.limit = recent->recents->reach;
    return question;
}

void recents_end_tick(struct recents *recents)
{
    while (!list_is_empty(&recents->asking)) {
        struct recent *recent = container_of(recents->asking.next, struct recent, asking_link);

        list_remove(&recent->asking_link);
        if (list_is_empty(&recent->waiting))
            continue;

        struct recent_question question = question_of(recent);

        question.generation = ++recents->generation;
        recent->generation = question.generation;
        recent->is_asking = true;
        recents->ask(recents->context, &question);
    }
}

/* Puts the page before what was gathered meanwhile, where they touch. */
static void take_page(struct recent *recent, const struct recent_page *page)
{
    struct recents *recents = recent->recents;
    bool is_gathered = recent->epoch[0] != '\0';
    uint64_t top = is_gathered ? recent->history.top : page->offset;
    size_t count = collect_page(recents, page, 0, top);
    uint64_t last = count > 0 ? recents->scratch[count - 1]->offset : 0;

    if (count == 0 || page->is_lost || (!is_gathered && last != top)) {
        recent->history.top = top;
        return;
    }

    uint64_t first = recents->scratch[0]->offset;

    if (is_gathered)
        count = collect_kept(recent, count, last);
    if (recents->scratch[count - 1]->offset != top || top - first + 1 != count) {
        recent->history.top = top;
        return;
    }
    for (size_t i = 0; i < count; i++)
        message_ref(recents->scratch[i]);
    history_deinit(&recent->history);
    recent->history.top = first - 1;
    for (size_t i = 0; i < count; i++) {
        history_append(&recent->history, recents->scratch[i], recents->now_ms);
        message_unref(recents->scratch[i]);
    }
}

static void learn_position(struct recent *recent, const struct recent_page *page)
{
    if (recent->epoch[0] != '\0' && strcmp(recent->epoch, page->epoch) != 0) {
        reset(recent); /* a new life has begun between the two; it will be asked for */
        return;
    }
    take_page(recent, page);
    epoch_copy(recent->epoch, page->epoch);
    epoch_copy(recent->previous, page->previous ? page->previous : "");
    recent->fork = page->fork;
    recent->is_known = true;
}

void recent_answer(struct recent *recent, uint64_t generation, const struct recent_page *page)
{
    struct list answered;

    if (!recent->is_asking || recent->generation != generation)
        return;
    recent->is_asking = false;
    if (!page->error && !recent->is_known)
        learn_position(recent, page);

    /* Who joins from a callback waits at the end of the other list. */
    list_init(&answered);
    list_append_all(&answered, &recent->waiting);
    while (!list_is_empty(&answered)) {
        struct catch_up *catch_up = of_link(answered.next);
        bool is_asked = catch_up->is_asked;

        list_remove(&catch_up->link);
        list_append(&recent->waiting, &catch_up->link);
        if (is_asked && page->error) {
            fail(catch_up, page->error);
        } else {
            catch_up->is_asked = false;
            settle(recent, catch_up, is_asked ? page : NULL);
        }
    }
    if (!list_is_empty(&recent->waiting))
        want_answer(recent);
}
