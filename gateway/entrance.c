#include "gateway/entrance.h"

#include <string.h>
#include <uv.h>

#include "common/address.h"
#include "common/log.h"
#include "common/server_socket.h"

int entrance_fail(const char *option, const char *address, int error)
{
    log_event(LOG_ERROR, log_name("cannot listen"), log_text("option", option),
              log_text("address", address), log_text("error", uv_strerror(error)));
    return error;
}

int entrance_claim(struct entrance *entrance)
{
    entrance->is_open = strcmp(entrance->text, "off") != 0;
    if (!entrance->is_open)
        return 0;
    address_parse(entrance->text, &entrance->address);

    int error = server_socket_claim(&entrance->address);

    return error ? entrance_fail(entrance->option, entrance->text, error) : 0;
}

int entrance_open(struct entrance *entrance, int *fd)
{
    *fd = entrance->is_open ? server_socket_bind(&entrance->address, true) : -1;
    if (entrance->is_open && *fd < 0)
        return entrance_fail(entrance->option, entrance->text, *fd);
    return 0;
}
