/* What is wrong with the options of the application's backend. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/backend.h"
#include "gateway/config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* RFC 9110 §5.6.2 */
static bool is_token(const char *name)
{
    static const char letters[] = "!#$%&'*+-.^_`|~0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return name[0] != '\0' && name[strspn(name, letters)] == '\0';
}

/* Those that are about this very connection or message, and would be lies about another. */
static bool is_of_message(const char *name)
{
    static const char *const names[] = {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "proxy-connection",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "accept",
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return strncasecmp(name, "sec-websocket-", 14) == 0;
}

static bool are_headers(const struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!is_token(list->items[i]) || is_of_message(list->items[i]))
            return false;
    }
    return true;
}

void config_check_backend(const struct config *config, option_report *report, void *context)
{
    for (int i = 0; i < HOOK_COUNT; i++) {
        enum backend_hook hook = (enum backend_hook)i;
        const char *url = backend_hook_url(config, hook);
        char text[OPTION_ERROR_LIMIT];

        if (url[0] == '\0' || backend_url_is_valid(url))
            continue;
        snprintf(text, sizeof(text),
                 "--proxy-%s: expected an address such as http://backend:3000/hooks",
                 backend_hook_name(hook));
        report(context, text);
    }
    if (!are_headers(&config->proxy_header))
        report(context, "--proxy-header: expected names of headers such as Cookie, and none of "
                        "those that belong to a connection or a body");
}
