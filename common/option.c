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
#include "common/option_value.h"

#define ENVIRONMENT_PREFIX "CARILLON_"
#define NAME_LIMIT         64
#define CHECK_ARGUMENT     "--check-config"

enum source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_COMMAND_LINE };

struct loader {
    const struct option_program *program;
    void *configuration;
    enum source *sources; /* of each option's present value */
    const char *config_path;
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

static const struct option *find_option(const struct option_program *program, const char *name)
{
    for (size_t i = 0; i < program->option_count; i++) {
        if (strcmp(program->options[i].name, name) == 0)
            return &program->options[i];
    }
    return NULL;
}

/* Levenshtein distance over names of at most NAME_LIMIT characters, one row at a time. */
static size_t edit_distance(const char *left, const char *right)
{
    size_t row[NAME_LIMIT + 1];
    size_t width = strnlen(right, NAME_LIMIT);

    for (size_t i = 0; i <= width; i++)
        row[i] = i;
    for (size_t i = 0; i < NAME_LIMIT && left[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t substitution = diagonal + (left[i] == right[j] ? 0 : 1);
            size_t shorter = row[j] < row[j + 1] ? row[j] : row[j + 1];

            diagonal = row[j + 1];
            row[j + 1] = substitution < shorter + 1 ? substitution : shorter + 1;
        }
    }
    return row[width];
}

/* The option that a mistyped name most likely meant, or NULL when none comes near. */
static const struct option *nearest_option(const struct option_program *program, const char *name)
{
    const struct option *nearest = NULL;
    size_t least = strlen(name) / 3 + 1;

    for (size_t i = 0; i < program->option_count; i++) {
        size_t distance = edit_distance(name, program->options[i].name);

        if (distance <= least) {
            least = distance;
            nearest = &program->options[i];
        }
    }
    return nearest;
}

static int unknown_option(struct loader *loader, const char *where, const char *name)
{
    const struct option *nearest = nearest_option(loader->program, name);

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

static int apply_file_setting(void *context, int line, const char *name, const char *value)
{
    struct loader *loader = context;
    const struct option *option = find_option(loader->program, name);
    char where[256];

    snprintf(where, sizeof(where), "%.150s:%d: %.64s", loader->config_path, line, name);
    return option ? assign(loader, option, value, SOURCE_FILE, where)
                  : unknown_option(loader, where, name);
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
    result = option_file_parse(text, (size_t)size, apply_file_setting, loader, &line, &problem);
    if (result && problem)
        result = complain(loader, "%.300s:%d: %s", loader->config_path, line, problem);
done:
    memory_free(text);
    return result;
}

/* `CARILLON_MAX_CHANNELS` → `max-channels`. False where it is too long for any option. */
static bool environment_name(const char *variable, size_t size, char name[NAME_LIMIT])
{
    if (size >= NAME_LIMIT)
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
        char name[NAME_LIMIT] = "";
        char where[256];

        if (!value || strncmp(*environment, ENVIRONMENT_PREFIX, prefix) != 0)
            continue;
        snprintf(where, sizeof(where), "%.*s", (int)(value - *environment), *environment);

        bool fits =
            environment_name(*environment + prefix, (size_t)(value - *environment) - prefix, name);
        const struct option *option = fits ? find_option(loader->program, name) : NULL;

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
    char name[NAME_LIMIT];
    const char *value; /* NULL: none was given in the same argument */
};

static bool split_argument(const char *text, struct argument *argument)
{
    size_t length;

    if (strncmp(text, "--", 2) != 0 || text[2] == '\0')
        return false;
    length = strcspn(text + 2, "=");
    if (length >= NAME_LIMIT)
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
    const struct option *option = find_option(loader->program, argument->name);
    bool negated = !option && strncmp(argument->name, "no-", 3) == 0 && !argument->value;
    const char *value = argument->value ? argument->value : "true";
    char where[NAME_LIMIT + 2];

    if (negated) {
        option = find_option(loader->program, argument->name + 3);
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
    char where[NAME_LIMIT + 2];

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
    const struct option *option = find_option(loader->program, argument.name);

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
}

void options_free(const struct option_program *program, void *configuration)
{
    for (size_t i = 0; i < program->option_count; i++)
        option_value_clear(&program->options[i], configuration);
}
