/*
 * How two nodes show each other that they know the cluster's secret without sending it: each side
 * gives 32 random bytes, and answers with an HMAC-SHA256 (RFC 2104) under the secret over both
 * sides' bytes and node ids, and the name of the cluster. A recorded answer is of no use, because
 * the bytes are new each time; nor is an answer mirrored back, because each side signs other words.
 */
#ifndef COMMON_CHALLENGE_H
#define COMMON_CHALLENGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHALLENGE_NONCE_BYTES 32
#define CHALLENGE_PROOF_BYTES 32

enum challenge_side { CHALLENGE_DIALER, CHALLENGE_ACCEPTOR };

/* What was said on a connection. */
struct challenge {
    unsigned char dialer_nonce[CHALLENGE_NONCE_BYTES];
    unsigned char acceptor_nonce[CHALLENGE_NONCE_BYTES];
    uint64_t dialer_node;
    uint64_t acceptor_node;
    const char *cluster; /* at most CLUSTER_NAME_LIMIT bytes */
};

/* A side's proof. */
void challenge_prove(const struct challenge *challenge, enum challenge_side side,
                     const void *secret, size_t secret_size,
                     unsigned char proof[CHALLENGE_PROOF_BYTES]);

/* True if `given` is that side's proof; takes the same time whatever differs. */
bool challenge_check(const struct challenge *challenge, enum challenge_side side,
                     const void *secret, size_t secret_size, const void *given, size_t given_size);

#endif
