#include <stdio.h>

#include "common/health.h"
#include "common/process_metrics.h"
#include "gateway/gateway.h"

extern char **environ;

/* Needs the configuration, and not the files of the page. */
static int ask_health(int argument_count, char **arguments)
{
    char error[OPTION_ERROR_LIMIT];
    struct config config = {0};
    int code = 2;

    switch (options_load(&config_program, &config, argument_count, arguments, environ, error)) {
    case OPTION_RUN:
        code = health_ask(config_program.name, config.admin_listen);
        break;
    case OPTION_EXIT:
        code = 0;
        break;
    case OPTION_BAD:
        fprintf(stderr, "%s: %s\n", config_program.name, error);
        break;
    }
    options_free(&config_program, &config);
    return code;
}

int main(int argument_count, char **arguments)
{
    char error[OPTION_ERROR_LIMIT];
    struct settings *settings;

    if (health_take_argument(&argument_count, arguments))
        return ask_health(argument_count, arguments);
    if (options_ask_for_check(argument_count, arguments))
        return settings_check(argument_count, arguments, environ);
    process_started();
    switch (settings_load(&settings, NULL, argument_count, arguments, environ, error)) {
    case OPTION_RUN:
        return gateway_run(settings, argument_count, arguments, environ);
    case OPTION_EXIT:
        return 0;
    case OPTION_BAD:
        break;
    }
    fprintf(stderr, "carillon-gateway: %s\n", error);
    return 2;
}
