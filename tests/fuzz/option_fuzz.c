/*
 * Options: the input is a config file, sections included, and each of its lines once more a
 * command-line argument and an environment variable of the real gateway's table. Whatever comes,
 * the result is a filled configuration or one line that says what is wrong, which is the first that
 * --check-config would say.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/memory.h"
#include "gateway/config.h"
#include "gateway/namespaces.h"

#define ARGUMENT_LIMIT 8

static void check(enum option_outcome outcome, const char *error)
{
    if (outcome != OPTION_BAD)
        return;
    assert(error[0] != '\0');
    assert(strlen(error) < OPTION_ERROR_LIMIT);
}

static void count(void *context, const char *problem)
{
    size_t *problems = context;

    assert(problem[0] != '\0');
    (*problems)++;
}

static void load_and_go_on(int argc, char **argv, char **environment, const char *error)
{
    char first[OPTION_ERROR_LIMIT] = "";
    struct config config;

    memset(&config, 0, sizeof(config));
    options_check(&config_program, &config, argc, argv, environment, option_keep_first, first);
    assert(strcmp(first, error) == 0);
    options_free(&config_program, &config);
}

/* A section of a good configuration is found by a channel of its name. */
static void find_namespaces(const struct config *config)
{
    struct namespaces *namespaces = namespaces_create(config);

    for (size_t i = 0; i < config->namespaces.count; i++) {
        char channel[OPTION_SECTION_NAME_LIMIT + sizeof(":x")];

        snprintf(channel, sizeof(channel), "%s:x", config->namespaces.items[i]->name);
        if (namespaces_privacy(namespaces, text_of(channel)) != CHANNEL_FOR_TOKEN &&
            namespaces_privacy(namespaces, text_of(channel)) != CHANNEL_PERSONAL)
            assert(namespaces_find(namespaces, text_of(channel)));
    }
    namespaces_destroy(namespaces);
}

static void load(int argc, char **argv, char **environment)
{
    char error[OPTION_ERROR_LIMIT] = "";
    struct config config;
    size_t problems = 0;

    memset(&config, 0, sizeof(config));

    enum option_outcome outcome =
        options_load(&config_program, &config, argc, argv, environment, error);

    check(outcome, error);
    if (outcome == OPTION_RUN)
        config_check(&config, count, &problems);
    if (outcome == OPTION_RUN && problems == 0)
        find_namespaces(&config);
    options_free(&config_program, &config);
    if (outcome != OPTION_EXIT)
        load_and_go_on(argc, argv, environment, error);
}

static void load_as_file(const uint8_t *data, size_t size)
{
    char path[64];
    char program[] = "fuzz";
    char option[] = "--config";
    char *argv[] = {program, option, path, NULL};
    char *environment[] = {NULL};
    int file = memfd_create("config", 0);

    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        return;
    load(3, argv, environment);
    close(file);
}

/* --config would read any file of the machine, --help would print for every input. */
static int is_harmless(const char *text)
{
    return !strstr(text, "config") && !strstr(text, "CONFIG") && strcmp(text, "--help") != 0 &&
           strcmp(text, "-h") != 0 && strcmp(text, "--version") != 0;
}

static void load_as_arguments(const uint8_t *data, size_t size)
{
    char *text = memory_copy_text((const char *)data, size);
    char program[] = "fuzz";
    char *argv[ARGUMENT_LIMIT + 2] = {program};
    char *environment[ARGUMENT_LIMIT + 2] = {NULL};
    char *rest = NULL;
    int count = 0;

    for (char *line = strtok_r(text, "\n", &rest); line && count < ARGUMENT_LIMIT;
         line = strtok_r(NULL, "\n", &rest)) {
        if (is_harmless(line)) {
            environment[count] = line;
            argv[++count] = line;
        }
    }
    load(count + 1, argv, (char *[]){NULL});
    load(1, argv, environment);
    memory_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    load_as_file(data, size);
    load_as_arguments(data, size);
    return 0;
}
