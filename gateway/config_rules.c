/* What is wrong with the rules of channels, at the top and in sections. */
#include <stdio.h>
#include <string.h>

#include "common/channel_name.h"
#include "gateway/config.h"

struct checker {
    const struct config *config;
    option_report *report;
    void *context;
    const char *section; /* NULL: the top */
};

static void complain(const struct checker *checker, const char *option, const char *problem)
{
    char text[OPTION_ERROR_LIMIT];

    if (checker->section)
        snprintf(text, sizeof(text), "[namespace %.100s] %s: %s", checker->section, option,
                 problem);
    else
        snprintf(text, sizeof(text), "--%s: %s", option, problem);
    checker->report(checker->context, text);
}

static void check_rules(const struct checker *checker, const struct channel_rules *rules)
{
    if (rules->message_rate > 0 && rules->message_burst < 1)
        complain(checker, "message-burst", "must be at least 1");
    if (rules->message_size > checker->config->max_message_size)
        complain(checker, "message-size", "must be at most --max-message-size");
    if (rules->force_recovery && rules->history_size == 0)
        complain(checker, "force-recovery", "needs a history-size above 0");
    if (rules->force_push_join_leave && !rules->join_leave)
        complain(checker, "force-push-join-leave", "needs join-leave");
    if (rules->subscribe_proxy && checker->config->proxy_subscribe[0] == '\0')
        complain(checker, "subscribe-proxy", "needs --proxy-subscribe");
    if (rules->publish_proxy && checker->config->proxy_publish[0] == '\0')
        complain(checker, "publish-proxy", "needs --proxy-publish");
}

static bool is_section(const struct option_sections *sections, const char *name, size_t size)
{
    for (size_t i = 0; i < sections->count; i++) {
        const char *other = sections->items[i]->name;

        if (strlen(other) == size && memcmp(other, name, size) == 0)
            return true;
    }
    return false;
}

static bool is_prefix(const char *prefix)
{
    return prefix[0] == '\0' || channel_name_is_valid(prefix, strlen(prefix));
}

/* A channel could be of both kinds where one prefix begins the other. */
static bool are_apart(const char *one, const char *other)
{
    size_t least = strlen(one) < strlen(other) ? strlen(one) : strlen(other);

    return least == 0 || strncmp(one, other, least) != 0;
}

static void check_prefixes(const struct checker *checker)
{
    const struct config *config = checker->config;
    size_t name_size = strcspn(config->personal_prefix, ":");

    if (!is_prefix(config->private_prefix))
        complain(checker, "private-prefix", "expected UTF-8 without control characters");
    if (!is_prefix(config->personal_prefix))
        complain(checker, "personal-prefix", "expected UTF-8 without control characters");
    if (!are_apart(config->private_prefix, config->personal_prefix))
        complain(checker, "personal-prefix", "must not begin as --private-prefix does");
    if (config->personal_prefix[name_size] == ':' && name_size > 0 &&
        !is_section(&config->namespaces, config->personal_prefix, name_size))
        complain(checker, "personal-prefix", "there is no section of its namespace");
}

void config_check_rules(const struct config *config, option_report *report, void *context)
{
    struct checker checker = {.config = config, .report = report, .context = context};

    check_prefixes(&checker);
    check_rules(&checker, &config->rules);
    for (size_t i = 0; i < config->namespaces.count; i++) {
        checker.section = config->namespaces.items[i]->name;
        check_rules(&checker, config->namespaces.items[i]->values);
    }
}
