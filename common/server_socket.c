#include "common/server_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "common/address.h"
#include "common/log.h"

static socklen_t address_size(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

int server_socket_bind(struct sockaddr_storage *address, bool shared)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    int off = 0;
    socklen_t size = address_size(address);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (address->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, (struct sockaddr *)address, size) ||
        getsockname(fd, (struct sockaddr *)address, &size)) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

int server_socket_claim(struct sockaddr_storage *address)
{
    int fd = server_socket_bind(address, false);

    if (fd < 0)
        return fd;
    if (listen(fd, 1)) {
        int error = -errno;

        close(fd);
        return error;
    }
    close(fd);
    return 0;
}

void server_socket_log(const char *role, const struct sockaddr_storage *address)
{
    char text[ADDRESS_TEXT_LIMIT];

    address_format((const struct sockaddr *)address, text);
    log_event(LOG_INFO, log_name("listening"), log_text("role", role), log_text("address", text));
}
