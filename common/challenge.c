#include "common/challenge.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "common/cluster_name.h"
static void put_node(unsigned char *at, uint64_t node)
{
    for (int i = 0; i < 8; i++)
        at[i] = (unsigned char)(node >> (56 - 8 * i));
}

void challenge_prove(const struct challenge *challenge, enum challenge_side side,
                     const void *secret, size_t secret_size,
                     unsigned char proof[CHALLENGE_PROOF_BYTES])
{
    unsigned char text[16 + 2 * CHALLENGE_NONCE_BYTES + 16 + CLUSTER_NAME_LIMIT];
    unsigned char *at = text;
    unsigned size = CHALLENGE_PROOF_BYTES;
    size_t cluster_size = strlen(challenge->cluster);

    assert(cluster_size <= CLUSTER_NAME_LIMIT);
    memcpy(at, side == CHALLENGE_DIALER ? "carillon dialer" : "carillon accept", 16);
    at += 16;
    memcpy(at, challenge->dialer_nonce, CHALLENGE_NONCE_BYTES);
    at += CHALLENGE_NONCE_BYTES;
    memcpy(at, challenge->acceptor_nonce, CHALLENGE_NONCE_BYTES);
    at += CHALLENGE_NONCE_BYTES;
    put_node(at, challenge->dialer_node);
    put_node(at + 8, challenge->acceptor_node);
    at += 16;
    memcpy(at, challenge->cluster, cluster_size);
    at += cluster_size;
    if (!HMAC(EVP_sha256(), secret, (int)secret_size, text, (size_t)(at - text), proof, &size))
        abort(); /* memory, which never fails here */
}

bool challenge_check(const struct challenge *challenge, enum challenge_side side,
                     const void *secret, size_t secret_size, const void *given, size_t given_size)
{
    unsigned char expected[CHALLENGE_PROOF_BYTES];

    if (given_size != sizeof(expected))
        return false;
    challenge_prove(challenge, side, secret, secret_size, expected);
    return CRYPTO_memcmp(expected, given, sizeof(expected)) == 0;
}
