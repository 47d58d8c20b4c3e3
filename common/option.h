/*
 * Options: one table is the source of the command line (`--send-queue-limit 1M`), the environment
 * (`CARILLON_SEND_QUEUE_LIMIT=1M`), the config file (`send-queue-limit = 1M`) and `--help`. The
 * command line beats the environment, which beats the file, which beats the default.
 *
 * Every program gets, without naming them in its table: `--config FILE`, `--check-config`,
 * `--help`, `--version`; and `--health`, see health.h.
 * `--option value` and `--option=value` are the same; a flag is `--flag`, `--no-flag` or
 * `--flag=true|false`.
 *
 * A program may have named sections in its config file, `[namespace chat]`, in which some of its
 * options stand again, with defaults of their own. What stands before the first section is the
 * top. Sections are read from the file alone.
 */
#ifndef COMMON_OPTION_H
#define COMMON_OPTION_H

#include <stdbool.h>
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
    const char *name; /* without the dashes */
    enum option_type type;
    bool is_fixed;              /* a running program keeps its value; a change takes a restart */
    bool in_section;            /* may stand in a section, too; `offset` is in its struct then */
    size_t offset;              /* of the value in the program's configuration struct */
    const char *fallback;       /* the default, as a user would write it */
    const char *argument;       /* what --help calls the value: SIZE, HOST:PORT; NULL for a flag */
    const char *help;           /* one or two sentences */
    uint64_t minimum;           /* NUMBER, SIZE, TIME; TEXT: least length */
    uint64_t maximum;           /* the same; 0 stands for no maximum */
    const char *const *choices; /* CHOICE: NULL-terminated */
    const char *group;          /* heading in --help, set on the first option of each group */
    const char *section_fallback; /* the default in a section; NULL: what stands at the top */
};

#define OPTION_SECTION_NAME_LIMIT 64

/*
 * The sections that a program's config file may have: `[kind NAME]`, NAME of 1 to
 * OPTION_SECTION_NAME_LIMIT letters, digits, `_`, `.`, `-`, each at most once. The configuration
 * embeds a struct with the options' values at the top, and each section has one of the same type.
 */
struct option_section_kind {
    const char *name;       /* namespace */
    size_t limit;           /* how many of them */
    size_t sections_offset; /* of a struct option_sections in the configuration */
    size_t values_offset;   /* of the embedded struct */
    size_t values_size;
};

struct option_section {
    const char *name;
    int line;     /* of the file, where it begins */
    void *values; /* a struct of `values_size` bytes */
    bool *given;  /* of each option of the program: it stands in the section */
};

/* In the order of the file. */
struct option_sections {
    size_t count;
    struct option_section **items;
};

struct option_program {
    const char *name;    /* carillon-gateway */
    const char *summary; /* one paragraph for --help */
    const struct option *options;
    size_t option_count;
    const struct option_section_kind *section; /* NULL: there are none */
};

enum option_outcome {
    OPTION_RUN,  /* the configuration is filled */
    OPTION_EXIT, /* --help or --version was printed to stdout: exit 0 */
    OPTION_BAD,  /* one line in `error` names what is wrong: exit 2 */
};

#define OPTION_ERROR_LIMIT 512
#define OPTION_NAMES_LIMIT 512

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

/* Told what is wrong with a configuration, in one line without newline. */
typedef void option_report(void *context, const char *problem);

/* True where --check-config is among the arguments: the program says what is wrong with its
 * configuration, and does not start. */
bool options_ask_for_check(int argc, char **argv);

/*
 * The same as options_load for such a program: goes on after what is wrong, with the value that the
 * option had before, and reports all of it. OPTION_EXIT, or OPTION_RUN: the configuration is filled
 * with what could be taken.
 */
enum option_outcome options_check(const struct option_program *program, void *configuration,
                                  int argc, char **argv, char **environment, option_report *report,
                                  void *context);

/* A reporter for those who want the first problem alone: `error` is a text of OPTION_ERROR_LIMIT
 * bytes, "" before it. */
void option_keep_first(void *error, const char *problem);

/* A reporter that says it on stderr and counts. */
struct option_printer {
    const struct option_program *program;
    size_t count;
};

void option_print(void *printer, const char *problem);

/*
 * For a program that loads its options again while it runs: gives each fixed option of
 * `configuration` the value that it has in `running`. `names` receives the names of those that had
 * another one, "listen, threads", or nothing. Sections have no fixed options; what they take from
 * the top they take from what is kept there.
 */
void options_keep_fixed(const struct option_program *program, void *configuration,
                        const void *running, char names[OPTION_NAMES_LIMIT]);

/* Frees what options_load put into the configuration, sections included, after any outcome. */
void options_free(const struct option_program *program, void *configuration);

/* Parses one value as the type says into `target`; pure, for tests and the fuzzer. 0 or UV_EINVAL.
 */
int option_parse_size(const char *text, uint64_t *bytes);
int option_parse_time(const char *text, uint64_t *milliseconds);

#endif
