#include "common/kernel_tls.h"

#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/opensslconf.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#ifndef SOL_TLS
#define SOL_TLS 282 /* as the kernel has it; the C library's headers came later */
#endif

/* Records that may wait in the kernel are two at most: after one that TCP does not take whole the
 * next send is refused, unless there was room for a moment. */
#define ROOM_BYTES ((uint32_t)36 * 1024)

/* A connection with ourselves, which nobody has to accept to be established. Its two sockets, or an
 * error. */
static int connect_to_self(int sockets[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    for (int i = 0; i < 2; i++)
        sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sockets[0] < 0 || sockets[1] < 0 ||
        bind(sockets[0], (struct sockaddr *)&address, sizeof(address)) || listen(sockets[0], 1) ||
        getsockname(sockets[0], (struct sockaddr *)&address, &size) ||
        connect(sockets[1], (struct sockaddr *)&address, sizeof(address)))
        return -errno;
    return 0;
}

/* The cipher does not matter: which ones there are OpenSSL finds out for each connection. */
static int encrypt(int socket)
{
    struct tls12_crypto_info_aes_gcm_128 keys = {
        .info = {.version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};

    if (setsockopt(socket, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ||
        setsockopt(socket, SOL_TLS, TLS_TX, &keys, sizeof(keys)))
        return -errno;
    return 0;
}

int kernel_tls_probe(void)
{
#ifdef OPENSSL_NO_KTLS
    return UV_ENOTSUP;
#else
    int sockets[2];
    int error = connect_to_self(sockets);

    if (!error)
        error = encrypt(sockets[1]);
    for (int i = 0; i < 2; i++) {
        if (sockets[i] >= 0)
            close(sockets[i]);
    }
    return error;
#endif
}

const char *kernel_tls_explain(int error)
{
    switch (error) {
    case UV_ENOTSUP:
        return "OpenSSL was built without it";
    case UV_ENOENT:
        return "the kernel does not have it, or its module is not loaded (modprobe tls)";
    case UV_EPERM:
    case UV_EACCES:
        return "it is forbidden here";
    default:
        return uv_strerror(error);
    }
}

bool kernel_tls_has_room(int socket)
{
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t size = sizeof(memory);

    if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, memory, &size))
        return true; /* before Linux 4.12, where there is no kernel TLS either */

    uint32_t queued = memory[SK_MEMINFO_WMEM_QUEUED];

    return queued == 0 || queued + ROOM_BYTES < memory[SK_MEMINFO_SNDBUF];
}

/* As the kernel goes on where the C library's structure ends (linux/tcp.h, which cannot be had
 * beside the C library's headers). */
struct longer_tcp_info {
    struct tcp_info known;
    uint64_t pacing_rate;
    uint64_t pacing_rate_limit;
    uint64_t bytes_acknowledged;
};

static_assert(offsetof(struct longer_tcp_info, bytes_acknowledged) == 120, "as in linux/tcp.h");

uint64_t kernel_tls_acknowledged(int socket)
{
    struct longer_tcp_info info = {0};
    socklen_t size = sizeof(info);

    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size))
        return 0;
    return info.bytes_acknowledged;
}
