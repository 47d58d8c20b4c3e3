/*
 * One pass over the text, without recursion and with memory for no more than the kind of each
 * level. jansson 2.14, which makes a tree, was measured to take ten times as long, and 80 MB of
 * memory for a message of 1 MB that is made of empty objects.
 */
#include "gateway/json_check.h"

#include "common/utf8.h"
#include "gateway/json_walk.h"

struct check {
    const char *at;
    const char *end;
    size_t depth;
    bool is_object[JSON_DEPTH_LIMIT]; /* or an array, of each level */
};

static bool take(struct check *check, char byte)
{
    if (check->at == check->end || *check->at != byte)
        return false;
    check->at++;
    return true;
}

static bool take_one_of(struct check *check, const char *bytes)
{
    if (check->at == check->end || *check->at == '\0' || !strchr(bytes, *check->at))
        return false;
    check->at++;
    return true;
}

static void skip_blanks(struct check *check)
{
    while (check->at < check->end &&
           (*check->at == ' ' || *check->at == '\t' || *check->at == '\r' || *check->at == '\n'))
        check->at++;
}

static bool take_word(struct check *check, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(check->end - check->at) < size || memcmp(check->at, word, size) != 0)
        return false;
    check->at += size;
    return true;
}

static bool take_digits(struct check *check)
{
    const char *from = check->at;

    while (check->at < check->end && *check->at >= '0' && *check->at <= '9')
        check->at++;
    return check->at > from;
}

static bool take_number(struct check *check)
{
    take(check, '-');
    if (!take(check, '0') && !take_digits(check))
        return false;
    if (take(check, '.') && !take_digits(check))
        return false;
    if (take_one_of(check, "eE")) {
        take_one_of(check, "+-");
        return take_digits(check);
    }
    return true;
}

/* What follows a backslash. Half of a surrogate pair is let pass: that is grammar (RFC 8259 §8.2),
 * and what JavaScript's JSON.stringify makes of a string that was cut in two. */
static bool take_escape(struct check *check)
{
    if (!take(check, 'u'))
        return take_one_of(check, "\"\\/bfnrt");
    for (int i = 0; i < 4; i++) {
        if (!take_one_of(check, "0123456789abcdefABCDEF"))
            return false;
    }
    return true;
}

static bool take_string(struct check *check)
{
    if (!take(check, '"'))
        return false;
    check->at += json_plain_size(check->at, (size_t)(check->end - check->at));
    while (take(check, '\\')) {
        if (!take_escape(check))
            return false;
        check->at += json_plain_size(check->at, (size_t)(check->end - check->at));
    }
    return take(check, '"');
}

/* A member's name, and the colon. */
static bool take_name(struct check *check)
{
    skip_blanks(check);
    if (!take_string(check))
        return false;
    skip_blanks(check);
    return take(check, ':');
}

static bool take_scalar(struct check *check)
{
    if (check->at < check->end && *check->at == '"')
        return take_string(check);
    return take_word(check, "true") || take_word(check, "false") || take_word(check, "null") ||
           take_number(check);
}

/* Behind a bracket: up to where the first value begins, or to its end where there is none, which
 * `*is_empty` says. */
static bool begin(struct check *check, bool is_object, bool *is_empty)
{
    if (check->depth == JSON_DEPTH_LIMIT)
        return false;
    skip_blanks(check);
    *is_empty = take(check, is_object ? '}' : ']');
    if (*is_empty)
        return true;
    check->is_object[check->depth++] = is_object;
    return !is_object || take_name(check);
}

/* A value, or of an array or an object its beginning: then a value is to follow, and `*is_whole` is
 * false. */
static bool take_value(struct check *check, bool *is_whole)
{
    skip_blanks(check);
    *is_whole = true;
    if (take(check, '{'))
        return begin(check, true, is_whole);
    if (take(check, '['))
        return begin(check, false, is_whole);
    return take_scalar(check);
}

/* Behind a value: what ends there, up to where the next one begins. False where there is none,
 * because the text ends or is wrong. */
static bool go_on(struct check *check)
{
    while (check->depth > 0) {
        bool is_object = check->is_object[check->depth - 1];

        skip_blanks(check);
        if (take(check, ','))
            return !is_object || take_name(check);
        if (!take(check, is_object ? '}' : ']'))
            return false;
        check->depth--;
    }
    return false;
}

bool json_is_valid(struct text json)
{
    struct check check;
    bool is_whole;

    if (json.size == 0 || !utf8_is_valid((const unsigned char *)json.data, json.size))
        return false;
    check.at = json.data;
    check.end = json.data + json.size;
    check.depth = 0;
    do {
        if (!take_value(&check, &is_whole))
            return false;
    } while (!is_whole || go_on(&check));
    skip_blanks(&check);
    return check.depth == 0 && check.at == check.end;
}
