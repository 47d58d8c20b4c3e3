#include "common/health.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <uv.h>

#include "common/address.h"

#define DEADLINE_SECONDS 3

bool health_take_argument(int *argument_count, char **arguments)
{
    int kept = 0;

    for (int i = 0; i < *argument_count; i++) {
        if (i == 0 || strcmp(arguments[i], "--health") != 0)
            arguments[kept++] = arguments[i];
    }

    bool is_taken = kept < *argument_count;

    arguments[kept] = NULL;
    *argument_count = kept;
    return is_taken;
}

/* A listener on every address is asked on the loopback's. */
static socklen_t make_reachable(struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

        if (IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
            in6->sin6_addr = in6addr_loopback;
        return sizeof(*in6);
    }

    struct sockaddr_in *in = (struct sockaddr_in *)address;

    if (in->sin_addr.s_addr == htonl(INADDR_ANY))
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof(*in);
}

/* Reads no more than the status line, of which the first twelve bytes tell: "HTTP/1.1 200". */
static int exchange(int fd, const struct sockaddr_storage *address, socklen_t size, int *status)
{
    static const char request[] =
        "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[13] = "";
    size_t used = 0;

    if (connect(fd, (const struct sockaddr *)address, size) != 0)
        return errno == EINPROGRESS ? ETIMEDOUT : errno; /* what SO_SNDTIMEO makes of it */
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
        return errno;
    while (used < sizeof(answer) - 1) {
        ssize_t count = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);

        if (count < 0)
            return errno == EAGAIN ? ETIMEDOUT : errno;
        if (count == 0)
            break;
        used += (size_t)count;
    }
    if (sscanf(answer, "HTTP/1.%*1[01] %3d", status) != 1)
        *status = 0;
    return 0;
}

int health_ask(const char *program, const char *admin_listen)
{
    const struct timeval deadline = {.tv_sec = DEADLINE_SECONDS};
    struct sockaddr_storage address;
    int status = 0;

    if (address_parse(admin_listen, &address)) {
        fprintf(stderr, "%s: --health: there is no admin listener to ask (--admin-listen %s)\n",
                program, admin_listen);
        return 2;
    }

    socklen_t size = make_reachable(&address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = fd < 0 ? errno : 0;

    if (!error) {
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline));
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
        error = exchange(fd, &address, size, &status);
        close(fd);
    }
    if (error)
        fprintf(stderr, "%s: --health: %s: %s\n", program, admin_listen,
                uv_strerror(uv_translate_sys_error(error)));
    else if (status == 0)
        fprintf(stderr, "%s: --health: %s: the answer is not HTTP\n", program, admin_listen);
    else if (status != 200)
        fprintf(stderr, "%s: --health: %s: answered with %d\n", program, admin_listen, status);
    return error || status != 200;
}
