/*
 * Options: one table is the source of the command line (`--send-queue-limit 1M`), the environment
 * (`CARILLON_SEND_QUEUE_LIMIT=1M`), the config file (`send-queue-limit = 1M`) and `--help`. The
 * command line beats the environment, which beats the file, which beats the default.
 *
 * Every program gets, without naming them in its table: `--config FILE`, `--help`, `--version`.
 * `--option value` and `--option=value` are the same; a flag is `--flag`, `--no-flag` or
 * `--flag=true|false`.
 */
#ifndef COMMON_OPTION_H
#define COMMON_OPTION_H

#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_FLAG,   /* bool */
    OPTION_NUMBER, /* uint64_t, decimal */
    OPTION_SIZE,   /* uint64_t bytes; K, M, G (powers of 1024) */
    OPTION_TIME,   /* uint64_t milliseconds; ms, s, m, h; a bare number but 0 is an error */
    OPTION_TEXT,   /* const char * */
    OPTION_LIST,   /* struct option_list; comma-separated, and each repetition on one source adds */
    OPTION_CHOICE, /* int: index into `choices` */
};

struct option_list {
    size_t count;
    const char **items;
};

struct option {
    const char *name;     /* without the dashes */
    enum option_type type;
    size_t offset;        /* of the value in the program's configuration struct */
    const char *fallback; /* the default, as a user would write it */
    const char *argument; /* what --help calls the value: SIZE, HOST:PORT; NULL for a flag */
    const char *help;     /* one or two sentences */
    uint64_t minimum;     /* NUMBER, SIZE, TIME; TEXT: least length */
    uint64_t maximum;     /* the same; 0 stands for no maximum */
    const char *const *choices; /* CHOICE: NULL-terminated */
    const char *group;    /* heading in --help, set on the first option of each group */
};

struct option_program {
    const char *name;    /* carillon-gateway */
    const char *summary; /* one paragraph for --help */
    const struct option *options;
    size_t option_count;
};

enum option_outcome {
    OPTION_RUN,      /* the configuration is filled */
    OPTION_EXIT,     /* --help or --version was printed to stdout: exit 0 */
    OPTION_BAD,      /* one line in `error` names what is wrong: exit 2 */
};

#define OPTION_ERROR_LIMIT 512

/*
 * Fills `configuration` (zeroed by the caller) from defaults, file, environment and command line.
 * `environment` is a NULL-terminated list of KEY=VALUE. The strings in the configuration live until
 * `options_free`. `error` receives one line without newline on OPTION_BAD; it names the option, the
 * source (command line, CARILLON_X, file:line) and what is wrong, and for an unknown option the
 * nearest known one. Unknown CARILLON_ variables are errors, too.
 */
enum option_outcome options_load(const struct option_program *program, void *configuration,
                                 int argc, char **argv, char **environment,
                                 char error[OPTION_ERROR_LIMIT]);

/* Frees what options_load put into the configuration, after any outcome. */
void options_free(const struct option_program *program, void *configuration);

/* Parses one value as the type says into `target`; pure, for tests and the fuzzer. 0 or UV_EINVAL. */
int option_parse_size(const char *text, uint64_t *bytes);
int option_parse_time(const char *text, uint64_t *milliseconds);

#endif
