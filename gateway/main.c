#include <stdio.h>

#include "gateway/gateway.h"

extern char **environ;

int main(int argument_count, char **arguments)
{
    char error[OPTION_ERROR_LIMIT];
    struct settings *settings;

    switch (settings_load(&settings, argument_count, arguments, environ, error)) {
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
