/*
 * A value is parsed into the type's own form first and stored only when it is right, so that a bad
 * value never leaves half of itself behind. Numbers are read digit by digit: strtoull takes signs,
 * blanks and wrap-around that a configuration must not.
 */
#include "common/option_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"", 1}, {"K", 1ull << 10}, {"M", 1ull << 20}, {"G", 1ull << 30}, {NULL, 0}};

static const struct unit time_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};

/* Reads decimal digits; returns how many, or 0 for none or for more than 64 bits hold. */
static size_t parse_digits(const char *text, uint64_t *number)
{
    size_t length = 0;
    uint64_t value = 0;

    for (; text[length] >= '0' && text[length] <= '9'; length++) {
        uint64_t digit = (uint64_t)(text[length] - '0');

        if (value > (UINT64_MAX - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *number = value;
    return length;
}

static int parse_with_unit(const char *text, const struct unit *units, uint64_t *value)
{
    uint64_t number;
    size_t digits = parse_digits(text, &number);

    if (digits == 0)
        return UV_EINVAL;
    for (; units->suffix; units++) {
        if (strcmp(text + digits, units->suffix) != 0)
            continue;
        if (number > UINT64_MAX / units->factor)
            return UV_EINVAL;
        *value = number * units->factor;
        return 0;
    }
    return UV_EINVAL;
}

int option_parse_size(const char *text, uint64_t *bytes)
{
    return parse_with_unit(text, size_units, bytes);
}

int option_parse_time(const char *text, uint64_t *milliseconds)
{
    if (strcmp(text, "0") == 0) {
        *milliseconds = 0;
        return 0;
    }
    return parse_with_unit(text, time_units, milliseconds);
}

static int parse_number(const char *text, uint64_t *number)
{
    size_t digits = parse_digits(text, number);

    return digits > 0 && text[digits] == '\0' ? 0 : UV_EINVAL;
}

static int parse_flag(const char *text, bool *flag)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int value = 0; value < 2; value++) {
            if (strcmp(text, words[i][value]) == 0) {
                *flag = value;
                return 0;
            }
        }
    }
    return UV_EINVAL;
}

/* Writes a limit the way a user writes such values. */
static void format_limit(enum option_type type, uint64_t value, char text[32])
{
    const struct unit *units = type == OPTION_SIZE   ? size_units
                               : type == OPTION_TIME ? time_units
                                                     : NULL;
    const struct unit *best = units;

    for (; units && units->suffix; units++) {
        if (value > 0 && value % units->factor == 0)
            best = units;
    }
    if (best)
        snprintf(text, 32, "%" PRIu64 "%s", value / best->factor, best->suffix);
    else
        snprintf(text, 32, "%" PRIu64, value);
}

static int check_range(const struct option *option, uint64_t value,
                       char problem[OPTION_PROBLEM_LIMIT])
{
    const char *what = option->type == OPTION_TEXT ? " characters" : "";
    char limit[32];

    if (value < option->minimum) {
        format_limit(option->type, option->minimum, limit);
        snprintf(problem, OPTION_PROBLEM_LIMIT, "must be at least %s%s", limit, what);
        return UV_EINVAL;
    }
    if (option->maximum > 0 && value > option->maximum) {
        format_limit(option->type, option->maximum, limit);
        snprintf(problem, OPTION_PROBLEM_LIMIT, "must be at most %s%s", limit, what);
        return UV_EINVAL;
    }
    return 0;
}

static const char *expected_form(enum option_type type)
{
    switch (type) {
    case OPTION_SIZE:
        return "a size such as 512, 64K, 1M or 2G";
    case OPTION_TIME:
        return "a time with its unit, such as 500ms, 10s, 5m or 1h";
    case OPTION_FLAG:
        return "true or false";
    default:
        return "a whole number";
    }
}

static int reject_form(const struct option *option, const char *text,
                       char problem[OPTION_PROBLEM_LIMIT])
{
    snprintf(problem, OPTION_PROBLEM_LIMIT, "\"%.64s\" is not %s", text,
             expected_form(option->type));
    return UV_EINVAL;
}

static int set_quantity(const struct option *option, uint64_t *member, const char *text,
                        char problem[OPTION_PROBLEM_LIMIT])
{
    uint64_t value = 0;
    int result = option->type == OPTION_SIZE   ? option_parse_size(text, &value)
                 : option->type == OPTION_TIME ? option_parse_time(text, &value)
                                               : parse_number(text, &value);

    if (result)
        return reject_form(option, text, problem);
    result = check_range(option, value, problem);
    if (result == 0)
        *member = value;
    return result;
}

static int set_choice(const struct option *option, int *member, const char *text,
                      char problem[OPTION_PROBLEM_LIMIT])
{
    size_t used;

    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *member = i;
            return 0;
        }
    }
    used = (size_t)snprintf(problem, OPTION_PROBLEM_LIMIT, "\"%.64s\" is not one of", text);
    for (int i = 0; option->choices[i] && used < OPTION_PROBLEM_LIMIT; i++)
        used += (size_t)snprintf(problem + used, OPTION_PROBLEM_LIMIT - used, "%s %s",
                                 i > 0 ? "," : "", option->choices[i]);
    return UV_EINVAL;
}

static int set_text(const struct option *option, const char **member, const char *text,
                    char problem[OPTION_PROBLEM_LIMIT])
{
    int result = check_range(option, strlen(text), problem);

    if (result)
        return result;
    memory_free(*member);
    *member = memory_copy_text(text, strlen(text));
    return 0;
}

static void clear_list(struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        memory_free(list->items[i]);
    memory_free(list->items);
    *list = (struct option_list){0};
}

static void append_item(struct option_list *list, const char *text, size_t size)
{
    list->items = memory_resize(list->items, (list->count + 1) * sizeof(list->items[0]));
    list->items[list->count++] = memory_copy_text(text, size);
}

/* Blanks around the items are the writer's, not theirs. */
static int set_list(struct option_list *list, const char *text, bool adds,
                    char problem[OPTION_PROBLEM_LIMIT])
{
    struct option_list items = {0};

    while (text[0] != '\0') {
        const char *end = strchr(text, ',');
        size_t next = end ? (size_t)(end - text) + 1 : strlen(text);
        size_t start = strspn(text, " \t");
        size_t stop = end ? (size_t)(end - text) : next;

        while (stop > start && (text[stop - 1] == ' ' || text[stop - 1] == '\t'))
            stop--;
        if (start >= stop) {
            clear_list(&items);
            snprintf(problem, OPTION_PROBLEM_LIMIT, "an item of the list is empty");
            return UV_EINVAL;
        }
        append_item(&items, text + start, stop - start);
        text += next;
    }
    if (!adds)
        clear_list(list);
    for (size_t i = 0; i < items.count; i++)
        append_item(list, items.items[i], strlen(items.items[i]));
    clear_list(&items);
    return 0;
}

int option_value_set(const struct option *option, void *configuration, const char *text, bool adds,
                     char problem[OPTION_PROBLEM_LIMIT])
{
    void *member = (unsigned char *)configuration + option->offset;

    switch (option->type) {
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_TIME:
        return set_quantity(option, member, text, problem);
    case OPTION_TEXT:
        return set_text(option, member, text, problem);
    case OPTION_LIST:
        return set_list(member, text, adds, problem);
    case OPTION_CHOICE:
        return set_choice(option, member, text, problem);
    case OPTION_FLAG:
        return parse_flag(text, member) ? reject_form(option, text, problem) : 0;
    }
    return UV_EINVAL;
}

void option_value_clear(const struct option *option, void *configuration)
{
    void *member = (unsigned char *)configuration + option->offset;

    if (option->type == OPTION_LIST) {
        clear_list(member);
    } else if (option->type == OPTION_TEXT) {
        memory_free(*(const char **)member);
        *(const char **)member = NULL;
    }
}

/* Of a value that owns nothing. */
static size_t plain_size(enum option_type type)
{
    return type == OPTION_FLAG     ? sizeof(bool)
           : type == OPTION_CHOICE ? sizeof(int)
                                   : sizeof(uint64_t);
}

static bool equal_texts(const char *left, const char *right)
{
    return left && right ? strcmp(left, right) == 0 : left == right;
}

static bool equal_lists(const struct option_list *left, const struct option_list *right)
{
    if (left->count != right->count)
        return false;
    for (size_t i = 0; i < left->count; i++) {
        if (strcmp(left->items[i], right->items[i]) != 0)
            return false;
    }
    return true;
}

bool option_value_equals(const struct option *option, const void *left, const void *right)
{
    const void *one = (const unsigned char *)left + option->offset;
    const void *other = (const unsigned char *)right + option->offset;

    if (option->type == OPTION_TEXT)
        return equal_texts(*(const char *const *)one, *(const char *const *)other);
    if (option->type == OPTION_LIST)
        return equal_lists(one, other);
    return memcmp(one, other, plain_size(option->type)) == 0;
}

void option_value_copy(const struct option *option, void *configuration, const void *from)
{
    void *member = (unsigned char *)configuration + option->offset;
    const void *source = (const unsigned char *)from + option->offset;

    option_value_clear(option, configuration);
    if (option->type == OPTION_TEXT) {
        const char *text = *(const char *const *)source;

        *(const char **)member = text ? memory_copy_text(text, strlen(text)) : NULL;
    } else if (option->type == OPTION_LIST) {
        const struct option_list *list = source;

        for (size_t i = 0; i < list->count; i++)
            append_item(member, list->items[i], strlen(list->items[i]));
    } else {
        memcpy(member, source, plain_size(option->type));
    }
}
