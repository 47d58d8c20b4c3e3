#include <stdio.h>

#include "common/health.h"
#include "common/memory.h"
#include "common/process_metrics.h"
#include "common/secret.h"
#include "router/certificates.h"
#include "router/router.h"

extern char **environ;

static int run(int argument_count, char **arguments, struct config *config)
{
    char error[OPTION_ERROR_LIMIT];
    bool asks_health = health_take_argument(&argument_count, arguments);
    enum option_outcome outcome =
        options_load(&config_program, config, argument_count, arguments, environ, error);

    if (outcome == OPTION_EXIT)
        return 0;
    if (outcome == OPTION_RUN && asks_health)
        return health_ask(config_program.name, config->admin_listen);
    if (outcome == OPTION_RUN)
        config_check(config, option_keep_first, error);
    if (error[0] == '\0')
        return router_run(config);
    fprintf(stderr, "carillon-router: %s\n", error);
    return 2;
}

static void check_secret(const struct config *config, struct option_printer *printer)
{
    char problem[OPTION_ERROR_LIMIT];
    char *secret = NULL;
    size_t size;
    int error =
        config->secret_file[0] != '\0' ? secret_read(config->secret_file, &secret, &size) : 0;

    memory_free(secret);
    if (!error)
        return;
    snprintf(problem, sizeof(problem), "--secret-file: %.300s: %s", config->secret_file,
             secret_explain(error));
    option_print(printer, problem);
}

static void check_certificates(const struct config *config, struct option_printer *printer)
{
    char problem[OPTION_ERROR_LIMIT + sizeof("--tls: ")];
    char error[TLS_ERROR_LIMIT];

    if (!certificates_check(config, error))
        return;
    snprintf(problem, sizeof(problem), "--tls: %s", error);
    option_print(printer, problem);
}

/* For --check-config. */
static int check(int argument_count, char **arguments, struct config *config)
{
    struct option_printer printer = {.program = &config_program};

    if (options_check(&config_program, config, argument_count, arguments, environ, option_print,
                      &printer) == OPTION_RUN) {
        config_check(config, option_print, &printer);
        check_secret(config, &printer);
        check_certificates(config, &printer);
    }
    return printer.count > 0 ? 2 : 0;
}

int main(int argument_count, char **arguments)
{
    struct config config = {0};
    int code;

    process_started();
    code = options_ask_for_check(argument_count, arguments)
               ? check(argument_count, arguments, &config)
               : run(argument_count, arguments, &config);

    options_free(&config_program, &config);
    return code;
}
