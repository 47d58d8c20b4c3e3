/*
 * The handshake, four frames:
 *
 *   dialer    Hello   who I am, a nonce
 *   acceptor  Welcome who I am, a nonce, proof that I know the secret
 *   dialer    Proof   that I do
 *   acceptor  Ready
 */
#include <stdio.h>
#include <string.h>

#include "common/cluster_name.h"
#include "common/random.h"
#include "common/router_link_parts.h"

void router_link_say_hello(struct router_link *link)
{
    const struct router_identity *identity = link->host->identity;

    random_bytes(link->challenge.dialer_nonce, CHALLENGE_NONCE_BYTES);
    link->challenge.dialer_node = identity->node;
    router_link_send_now(
        link, &(struct router_frame){.kind = FRAME_HELLO,
                                     .hello = {.version = ROUTER_VERSION,
                                               .capabilities = ROUTER_CAPABILITIES,
                                               .node = identity->node,
                                               .role = identity->role,
                                               .name = identity->name,
                                               .cluster = cluster_name_sent(identity->cluster),
                                               .message_limit = identity->message_limit,
                                               .shard = link->shard,
                                               .shards = identity->shards,
                                               .nonce = link->challenge.dialer_nonce,
                                               .address = identity->address}});
}

static void note_peer(struct router_link *link, const struct router_frame *frame)
{
    link->peer.node = frame->hello.node;
    link->peer.message_limit = frame->hello.message_limit;
    link->peer.capabilities = frame->hello.capabilities & ROUTER_CAPABILITIES;
    link->peer.shards = frame->hello.shards;
    snprintf(link->peer.name, sizeof(link->peer.name), "%s", frame->hello.name);
    snprintf(link->peer.cluster, sizeof(link->peer.cluster), "%s",
             cluster_name_received(frame->hello.cluster));
    if (frame->kind != FRAME_HELLO)
        return;
    link->peer.role = frame->hello.role;
    link->peer.shard = frame->hello.shard;
    snprintf(link->peer.address, sizeof(link->peer.address), "%s", frame->hello.address);
}

static void prove(const struct router_link *link, enum challenge_side side,
                  unsigned char proof[CHALLENGE_PROOF_BYTES])
{
    challenge_prove(&link->challenge, side, link->host->identity->secret,
                    link->host->identity->secret_size, proof);
}

/* True where the other side's proof is right, or none is asked for. */
static bool check(struct router_link *link, enum challenge_side side, const void *proof,
                  size_t proof_size)
{
    const struct router_identity *identity = link->host->identity;

    if (!identity->secret)
        return true;
    if (challenge_check(&link->challenge, side, identity->secret, identity->secret_size, proof,
                        proof_size))
        return true;
    router_link_refuse(link, ROUTER_ERROR_SECRET,
                       proof_size == 0 ? "the shared secret is missing"
                                       : "the shared secret is another one");
    return false;
}

/* True where the other side is of our cluster. What it is told otherwise reads the same in both
 * logs. */
static bool check_cluster(struct router_link *link)
{
    const char *ours = link->host->identity->cluster;
    const char *theirs = link->peer.cluster;
    char text[ROUTER_TEXT_LIMIT + 1];

    if (strcmp(ours, theirs) == 0)
        return true;
    snprintf(text, sizeof(text), "a router of the cluster \"%s\" was asked for the cluster \"%s\"",
             link->is_dialer ? theirs : ours, link->is_dialer ? ours : theirs);
    router_link_refuse(link, ROUTER_ERROR_CLUSTER, text);
    return false;
}

static void receive_hello(struct router_link *link, const struct router_frame *frame)
{
    const struct router_identity *identity = link->host->identity;
    unsigned char proof[CHALLENGE_PROOF_BYTES];

    note_peer(link, frame);
    if (frame->hello.version > ROUTER_VERSION) {
        router_link_refuse(link, ROUTER_ERROR_VERSION, "this router is older than you need");
        return;
    }
    if (!check_cluster(link))
        return;
    if (frame->hello.shards != 0 && frame->hello.shards != identity->shards) {
        router_link_refuse(link, ROUTER_ERROR_SHARDS, "another number of --shards");
        return;
    }
    memcpy(link->challenge.dialer_nonce, frame->hello.nonce, CHALLENGE_NONCE_BYTES);
    link->challenge.dialer_node = frame->hello.node;
    link->challenge.acceptor_node = identity->node;
    random_bytes(link->challenge.acceptor_nonce, CHALLENGE_NONCE_BYTES);
    if (!link->events->hello(link))
        return;
    if (identity->secret)
        prove(link, CHALLENGE_ACCEPTOR, proof);
    link->state = ROUTER_LINK_PROVING;
    router_link_send_now(link, &(struct router_frame){
                                   .kind = FRAME_WELCOME,
                                   .hello = {.version = ROUTER_VERSION,
                                             .capabilities = ROUTER_CAPABILITIES,
                                             .node = identity->node,
                                             .name = identity->name,
                                             .cluster = cluster_name_sent(identity->cluster),
                                             .message_limit = identity->message_limit,
                                             .shards = identity->shards,
                                             .nonce = link->challenge.acceptor_nonce,
                                             .proof = proof,
                                             .proof_size = identity->secret ? sizeof(proof) : 0}});
}

static void receive_welcome(struct router_link *link, const struct router_frame *frame)
{
    unsigned char proof[CHALLENGE_PROOF_BYTES];
    bool has_secret = link->host->identity->secret != NULL;

    note_peer(link, frame);
    if (frame->hello.version > ROUTER_VERSION) {
        router_link_refuse(link, ROUTER_ERROR_VERSION, "this node is older than you need");
        return;
    }
    if (!check_cluster(link))
        return;
    memcpy(link->challenge.acceptor_nonce, frame->hello.nonce, CHALLENGE_NONCE_BYTES);
    link->challenge.acceptor_node = frame->hello.node;
    if (!check(link, CHALLENGE_ACCEPTOR, frame->hello.proof, frame->hello.proof_size) ||
        !link->events->welcome(link))
        return;
    if (has_secret)
        prove(link, CHALLENGE_DIALER, proof);
    link->state = ROUTER_LINK_PROVING;
    router_link_send_now(link,
                         &(struct router_frame){.kind = FRAME_PROOF,
                                                .proof = {proof, has_secret ? sizeof(proof) : 0}});
}

static void become_ready(struct router_link *link)
{
    loop_cancel(link->host->loop, &link->waiter);
    link->state = ROUTER_LINK_READY;
    link->message_limit =
        link->peer.role == ROLE_ROUTER ? ROUTER_MESSAGE_LIMIT : link->host->identity->message_limit;
    link->reader.limit = link->message_limit + ROUTER_OVERHEAD_BYTES;
    link->reader.cut_limit = ROUTER_MESSAGE_LIMIT + ROUTER_OVERHEAD_BYTES;
    link->events->ready(link);
}

static void receive_proof(struct router_link *link, const struct router_frame *frame)
{
    if (!check(link, CHALLENGE_DIALER, frame->proof.data, frame->proof.size))
        return;
    router_link_send_now(link, &(struct router_frame){.kind = FRAME_READY});
    become_ready(link);
}

bool router_link_receive_handshake(struct router_link *link, const struct router_frame *frame)
{
    bool is_greeting = link->state == ROUTER_LINK_GREETING;
    bool is_proving = link->state == ROUTER_LINK_PROVING;

    if (frame->kind == FRAME_HELLO && is_greeting && !link->is_dialer)
        receive_hello(link, frame);
    else if (frame->kind == FRAME_WELCOME && is_greeting && link->is_dialer)
        receive_welcome(link, frame);
    else if (frame->kind == FRAME_PROOF && is_proving && !link->is_dialer)
        receive_proof(link, frame);
    else if (frame->kind == FRAME_READY && is_proving && link->is_dialer)
        become_ready(link);
    else
        return false;
    return true;
}
