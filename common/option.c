/*
 * The sources are applied from the weakest to the strongest: defaults, file, environment, command
 * line. Each assignment remembers its source, so that a list grows within one source and starts
 * anew with the next, and that a name that stands twice in a file is found.
 *
 * Every complaint is one line that begins with the place where the user wrote the wrong thing, in
 * the form in which it was written there: `--max-channels`, `CARILLON_MAX_CHANNELS`,
 * `gateway.conf:7`.
 */
#include "common/option.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/memory.h"
#include "common/option_file.h"
#include "common/option_help.h"
#include "common/option_name.h"
#include "common/option_section.h"
#include "common/option_value.h"

#define ENVIRONMENT_PREFIX "CARILLON_"
#define CHECK_ARGUMENT     "--check-config"

enum source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_COMMAND_LINE };

struct loader {
    const struct option_program *program;
    void *configuration;
    enum source *sources; /* of each option's present value */
    const char *config_path;
    struct option_section *section; /* that the line of the file is in; NULL: the top */
    bool in_unknown;                /* or in one of which nothing is known */
    char *error;
    option_report *report; /* NULL: the first thing that is wrong ends it, and stays in `error` */
    void *context;
};

static int complain(struct loader *loader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Says what is wrong. Returns UV_EINVAL, or 0 where that is not the end. */
static int complain(struct loader *loader, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(loader->error, OPTION_ERROR_LIMIT, format, arguments);
    va_end(arguments);
    if (!loader->report)
        return UV_EINVAL;
    loader->report(loader->context, loader->error);
    return 0;
}

static int unknown_option(struct loader *loader, const char *where, const char *name)
{
    const struct option *nearest = option_nearest(loader->program, name, loader->section);

    if (loader->section && option_find(loader->program, name, false))
        return complain(loader, "%.200s: stands before the first section, not in one", where);
    if (nearest)
        return complain(loader, "%.200s: unknown option; did you mean %s? (--help lists all)",
                        where, nearest->name);
    return complain(loader, "%.200s: unknown option (--help lists all)", where);
}

static int assign(struct loader *loader, const struct option *option, const char *text,
                  enum source source, const char *where)
{
    enum source *present = &loader->sources[option - loader->program->options];
    char problem[OPTION_PROBLEM_LIMIT];

    if (source == SOURCE_FILE && *present == SOURCE_FILE && option->type != OPTION_LIST)
        return complain(loader, "%.200s: is set twice in this file", where);
    if (option_value_set(option, loader->configuration, text,
                         source == *present && source != SOURCE_DEFAULT, problem))
        return complain(loader, "%.200s: %s", where, problem);
    *present = source;
    return 0;
}

static int apply_defaults(struct loader *loader)
{
    for (size_t i = 0; i < loader->program->option_count; i++) {
        const struct option *option = &loader->program->options[i];

        if (option->fallback &&
            assign(loader, option, option->fallback, SOURCE_DEFAULT, option->name))
            return UV_EINVAL;
    }
    return 0;
}

static int assign_in_section(struct loader *loader, const struct option *option, const char *text,
                             const char *where)
{
    char problem[OPTION_PROBLEM_LIMIT];

    if (option_section_set(loader->program, loader->section, option, text, problem))
        return complain(loader, "%.200s: %s", where, problem);
    return 0;
}

static int apply_file_setting(void *context, int line, const char *name, const char *value)
{
    struct loader *loader = context;
    const struct option *option = option_find(loader->program, name, loader->section);
    char where[256];

    if (loader->in_unknown)
        return 0;
    snprintf(where, sizeof(where), "%.150s:%d: %.64s", loader->config_path, line, name);
    if (!option)
        return unknown_option(loader, where, name);
    return loader->section ? assign_in_section(loader, option, value, where)
                           : assign(loader, option, value, SOURCE_FILE, where);
}

static int apply_file_section(void *context, int line, const char *title)
{
    struct loader *loader = context;
    char problem[OPTION_PROBLEM_LIMIT];
    int result = option_section_begin(loader->program, loader->configuration, title, line,
                                      &loader->section, problem);

    loader->in_unknown = !loader->section;
    if (result == 0)
        return 0;
    return complain(loader, "%.150s:%d: [%.80s]: %s", loader->config_path, line, title, problem);
}

/* Reads the whole file into `*text`; returns its size or a negative code. */
static ssize_t read_file(const char *path, char **text)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t count;

    if (file < 0)
        return uv_translate_sys_error(errno);
    *text = memory_allocate(OPTION_FILE_LIMIT + 1);
    do {
        count = read(file, *text + size, OPTION_FILE_LIMIT + 1 - size);
        size += count > 0 ? (size_t)count : 0;
    } while (count > 0 && size <= OPTION_FILE_LIMIT);

    ssize_t result = count < 0                  ? uv_translate_sys_error(errno)
                     : size > OPTION_FILE_LIMIT ? UV_EFBIG
                                                : (ssize_t)size;

    close(file);
    return result;
}

static int apply_file(struct loader *loader)
{
    const char *problem = NULL;
    char *text = NULL;
    int line = 0;
    int result = 0;
    ssize_t size;

    if (!loader->config_path)
        return 0;
    size = read_file(loader->config_path, &text);
    if (size < 0) {
        result = complain(loader, "--config: cannot read %.300s: %s", loader->config_path,
                          uv_strerror((int)size));
        goto done;
    }
    result = option_file_parse(text, (size_t)size, apply_file_setting, apply_file_section, loader,
                               &line, &problem);
    loader->section = NULL;
    if (result && problem)
        result = complain(loader, "%.300s:%d: %s", loader->config_path, line, problem);
done:
    memory_free(text);
    return result;
}

/* `CARILLON_MAX_CHANNELS` → `max-channels`. False where it is too long for any option. */
static bool environment_name(const char *variable, size_t size, char name[OPTION_NAME_LIMIT])
{
    if (size >= OPTION_NAME_LIMIT)
        return false;
    for (size_t i = 0; i < size; i++)
        name[i] = (char)(variable[i] == '_' ? '-' : tolower((unsigned char)variable[i]));
    name[size] = '\0';
    return true;
}

/*
 * Kubernetes sets variables for each Service of the namespace, and one for a Service named
 * "carillon" looks like ours: CARILLON_SERVICE_HOST, CARILLON_PORT_8000_TCP_ADDR, …
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
static bool is_service_link(const char *name, const char *value)
{
    const char *port = strstr(name, "port-");

    return strstr(name, "service-host") || strstr(name, "service-port") ||
           (port && isdigit((unsigned char)port[5])) || strncmp(value, "tcp://", 6) == 0 ||
           strncmp(value, "udp://", 6) == 0;
}

static int apply_environment(struct loader *loader, char **environment)
{
    const size_t prefix = strlen(ENVIRONMENT_PREFIX);

    for (; *environment; environment++) {
        const char *value = strchr(*environment, '=');
        char name[OPTION_NAME_LIMIT] = "";
        char where[256];

        if (!value || strncmp(*environment, ENVIRONMENT_PREFIX, prefix) != 0)
            continue;
        snprintf(where, sizeof(where), "%.*s", (int)(value - *environment), *environment);

        bool fits =
            environment_name(*environment + prefix, (size_t)(value - *environment) - prefix, name);
        const struct option *option = fits ? option_find(loader->program, name, false) : NULL;

        if (strcmp(name, "config") == 0)
            continue;
        if (!option && is_service_link(name, value + 1))
            continue;
        if (option ? assign(loader, option, value + 1, SOURCE_ENVIRONMENT, where)
                   : unknown_option(loader, where, name))
            return UV_EINVAL;
    }
    return 0;
}

/* An argument taken apart: `--name=value`, `--name value`, `--no-name`. */
struct argument {
    char name[OPTION_NAME_LIMIT];
    const char *value; /* NULL: none was given in the same argument */
};

static bool split_argument(const char *text, struct argument *argument)
{
    size_t length;

    if (strncmp(text, "--", 2) != 0 || text[2] == '\0')
        return false;
    length = strcspn(text + 2, "=");
    if (length >= OPTION_NAME_LIMIT)
        return false;
    memcpy(argument->name, text + 2, length);
    argument->name[length] = '\0';
    argument->value = text[2 + length] == '=' ? text + 2 + length + 1 : NULL;
    return true;
}

static int missing_value(struct loader *loader, const char *name)
{
    return complain(loader, "--%s: expected a value", name);
}

/* A flag never takes the next argument. Returns 1 when the argument was a flag, 0 when not. */
static int apply_flag(struct loader *loader, const struct argument *argument)
{
    const struct option *option = option_find(loader->program, argument->name, false);
    bool negated = !option && strncmp(argument->name, "no-", 3) == 0 && !argument->value;
    const char *value = argument->value ? argument->value : "true";
    char where[OPTION_NAME_LIMIT + 2];

    if (negated) {
        option = option_find(loader->program, argument->name + 3, false);
        value = "false";
    }
    if (!option || option->type != OPTION_FLAG)
        return 0;
    snprintf(where, sizeof(where), "--%s", argument->name);
    return assign(loader, option, value, SOURCE_COMMAND_LINE, where) ? UV_EINVAL : 1;
}

/* Applies argument `*index`, and steps over a value that stands behind it. */
static int apply_argument(struct loader *loader, int argc, char **argv, int *index)
{
    struct argument argument;
    char where[OPTION_NAME_LIMIT + 2];

    if (!split_argument(argv[*index], &argument))
        return complain(loader,
                        "\"%.200s\": expected an option such as --listen (--help lists all)",
                        argv[*index]);
    if (strcmp(argv[*index], CHECK_ARGUMENT) == 0)
        return 0;

    int flag = apply_flag(loader, &argument);

    if (flag)
        return flag < 0 ? flag : 0;

    bool is_config = strcmp(argument.name, "config") == 0;
    const struct option *option = option_find(loader->program, argument.name, false);

    snprintf(where, sizeof(where), "--%s", argument.name);
    if (!option && !is_config) {
        /* What stands behind it was meant for its value, and is nothing wrong of its own. */
        if (!argument.value && *index + 1 < argc && strncmp(argv[*index + 1], "--", 2) != 0)
            ++*index;
        return unknown_option(loader, where, argument.name);
    }
    if (!argument.value && *index + 1 >= argc)
        return missing_value(loader, argument.name);
    if (!argument.value)
        argument.value = argv[++*index];
    return is_config ? 0 : assign(loader, option, argument.value, SOURCE_COMMAND_LINE, where);
}

static int apply_command_line(struct loader *loader, int argc, char **argv)
{
    int result = 0;

    for (int i = 1; i < argc && result == 0; i++)
        result = apply_argument(loader, argc, argv, &i);
    return result;
}

/* The file is read before the stronger sources are applied, so its name is looked up ahead. */
static int find_config_path(struct loader *loader, int argc, char **argv, char **environment)
{
    static const char variable[] = ENVIRONMENT_PREFIX "CONFIG=";

    for (; *environment; environment++) {
        if (strncmp(*environment, variable, strlen(variable)) == 0 &&
            (*environment)[strlen(variable)] != '\0')
            loader->config_path = *environment + strlen(variable);
    }
    for (int i = 1; i < argc; i++) {
        struct argument argument;

        if (!split_argument(argv[i], &argument) || strcmp(argument.name, "config") != 0)
            continue;
        if (!argument.value && i + 1 >= argc)
            return loader->report ? 0 : missing_value(loader, "config"); /* which is told later */
        loader->config_path = argument.value ? argument.value : argv[++i];
    }
    return 0;
}

static bool print_and_exit(const struct option_program *program, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            option_help_print(program, stdout);
            return true;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s %s\n", program->name, CARILLON_VERSION);
            return true;
        }
    }
    return false;
}

static enum option_outcome load(struct loader *loader, int argc, char **argv, char **environment)
{
    enum option_outcome outcome = OPTION_BAD;

    if (print_and_exit(loader->program, argc, argv))
        return OPTION_EXIT;
    loader->error[0] = '\0';
    loader->sources = memory_zeroed(loader->program->option_count, sizeof(loader->sources[0]));
    if (find_config_path(loader, argc, argv, environment) == 0 && apply_defaults(loader) == 0 &&
        apply_file(loader) == 0 && apply_environment(loader, environment) == 0 &&
        apply_command_line(loader, argc, argv) == 0)
        outcome = OPTION_RUN;
    option_sections_inherit(loader->program, loader->configuration);
    memory_free(loader->sources);
    return outcome;
}

enum option_outcome options_load(const struct option_program *program, void *configuration,
                                 int argc, char **argv, char **environment,
                                 char error[OPTION_ERROR_LIMIT])
{
    struct loader loader = {.program = program, .configuration = configuration, .error = error};

    return load(&loader, argc, argv, environment);
}

bool options_ask_for_check(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], CHECK_ARGUMENT) == 0)
            return true;
    }
    return false;
}

enum option_outcome options_check(const struct option_program *program, void *configuration,
                                  int argc, char **argv, char **environment, option_report *report,
                                  void *context)
{
    char error[OPTION_ERROR_LIMIT];
    struct loader loader = {.program = program,
                            .configuration = configuration,
                            .error = error,
                            .report = report,
                            .context = context};

    return load(&loader, argc, argv, environment);
}

void option_keep_first(void *error, const char *problem)
{
    char *text = error;

    if (text[0] == '\0')
        snprintf(text, OPTION_ERROR_LIMIT, "%s", problem);
}

void option_print(void *context, const char *problem)
{
    struct option_printer *printer = context;

    fprintf(stderr, "%s: %s\n", printer->program->name, problem);
    printer->count++;
}

void options_keep_fixed(const struct option_program *program, void *configuration,
                        const void *running, char names[OPTION_NAMES_LIMIT])
{
    size_t used = 0;

    names[0] = '\0';
    for (size_t i = 0; i < program->option_count; i++) {
        const struct option *option = &program->options[i];

        if (!option->is_fixed || option_value_equals(option, configuration, running))
            continue;
        option_value_copy(option, configuration, running);
        if (used < OPTION_NAMES_LIMIT)
            used += (size_t)snprintf(names + used, OPTION_NAMES_LIMIT - used, "%s%s",
                                     used > 0 ? ", " : "", option->name);
    }
    option_sections_inherit(program, configuration);
}

void options_free(const struct option_program *program, void *configuration)
{
    for (size_t i = 0; i < program->option_count; i++)
        option_value_clear(&program->options[i], configuration);
    option_sections_free(program, configuration);
}
