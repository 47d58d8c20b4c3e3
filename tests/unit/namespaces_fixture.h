/* The namespaces of a config file, loaded as the gateway does. */
#ifndef TESTS_UNIT_NAMESPACES_FIXTURE_H
#define TESTS_UNIT_NAMESPACES_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/client_protocol.h"
#include "gateway/config.h"
#include "gateway/namespaces.h"

static char path[] = "/tmp/namespaces_test_XXXXXX";
static char problem[OPTION_ERROR_LIMIT];
static struct config config;
static struct namespaces *namespaces;

static inline int create_config(void **state)
{
    int file = mkstemp(path);

    (void)state;
    return file < 0 ? -1 : close(file);
}

static inline int forget(void **state)
{
    (void)state;
    namespaces_destroy(namespaces);
    namespaces = NULL;
    options_free(&config_program, &config);
    memset(&config, 0, sizeof(config));
    return 0;
}

static inline int remove_config(void **state)
{
    forget(state);
    return unlink(path);
}

/* Empty `problem` where all is well. */
static inline void load(const char *text)
{
    char *arguments[] = {"carillon-gateway", "--config", path, NULL};
    char *environment[] = {NULL};
    int file = open(path, O_WRONLY | O_TRUNC);

    forget(NULL);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    problem[0] = '\0';
    if (options_load(&config_program, &config, 3, arguments, environment, problem) == OPTION_RUN)
        config_check(&config, option_keep_first, problem);
    if (problem[0] == '\0')
        namespaces = namespaces_create(&config);
}

static inline void load_good(const char *text)
{
    load(text);
    if (problem[0] != '\0')
        fail_msg("refused: %s", problem);
}

static inline void assert_refused(const char *text, const char *message)
{
    load(text);
    if (!strstr(problem, message))
        fail_msg("expected \"%s\", got \"%s\"", message, problem);
}

static inline const struct channel_rules *rules_of(const char *channel)
{
    return namespaces_find(namespaces, text_of(channel));
}

static inline int check(const char *channel, enum channel_act act, const struct actor *actor)
{
    return namespaces_check(namespaces, text_of(channel), act, actor);
}

static inline bool may_subscribe(const char *channel, const char *user)
{
    struct actor actor = {.user = text_of(user)};

    return check(channel, CHANNEL_SUBSCRIBE, &actor) == 0;
}

#endif
