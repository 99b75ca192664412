/* A node with a key and a receiver with the policy "live", in one program: the whole dialogue. */
#include "expect.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S 1000000000ull

int main(void)
{
    static const char line[] = "node 237ba621 0d3effd281ae438a8d530b4840cda86cf26a7752bafd2f72e849bfa2a3f48640 56507761 n1";
    static const uint8_t clock[16] = {1}, random_bytes[FENCE_KDUMP_NONCE_LEN] = {42};
    uint8_t heard[FENCE_KDUMP_DATAGRAM_MAX], answer[FENCE_KDUMP_DATAGRAM_MAX], challenge[FENCE_KDUMP_CHALLENGE_LEN];
    size_t len, answer_len;
    int event, proof;
    fence_kdump_node_key own;
    fence_kdump_message said;
    fence_kdump_answers answers;
    fence_kdump_challenger challenger;
    fence_kdump_crash memory;
    fence_kdump_session session;

    /* The node. */
    expect("key", fence_kdump_key_line(line, sizeof line - 1, &own), FENCE_KDUMP_OK);
    expect("answers", fence_kdump_answers_init(&answers, sizeof answers), FENCE_KDUMP_OK);
    memset(&said, 0, sizeof said);
    said.has = FENCE_KDUMP_HAS_NODE_NAME | FENCE_KDUMP_HAS_CRASH_ID | FENCE_KDUMP_HAS_SEQUENCE
        | FENCE_KDUMP_HAS_UPTIME | FENCE_KDUMP_HAS_KEY_ID | FENCE_KDUMP_HAS_PHASE;
    memcpy(said.node_name, own.node_name, sizeof said.node_name);
    memcpy(said.key_id, own.key_id, sizeof said.key_id);
    memset(said.crash_id, 7, sizeof said.crash_id);
    said.uptime_ms = 4000;
    said.phase = FENCE_KDUMP_BOOTED;
    said.sequence = 1;
    expect("sign", fence_kdump_message_sign(&said, own.key, heard, sizeof heard, &len), FENCE_KDUMP_OK);

    /* The receiver. */
    expect("challenger", fence_kdump_challenger_init(&challenger, sizeof challenger), FENCE_KDUMP_OK);
    expect("session", fence_kdump_session_init(&session, sizeof session, FENCE_KDUMP_SILENCE), FENCE_KDUMP_OK);
    expect("prove", fence_kdump_prove(heard, len, own.key, 100 * S, clock, &challenger, NULL, &memory, &proof), 0);
    expect("proof", proof, FENCE_KDUMP_SIGNED);
    expect("not live", fence_kdump_session_hear(&session, 100 * S, heard, len, FENCE_KDUMP_LIVE, proof, &event),
           FENCE_KDUMP_ERROR_UNPROVEN);
    expect("challenge", fence_kdump_challenge(&challenger, heard, len, own.key, 100 * S, random_bytes, challenge,
           sizeof challenge), FENCE_KDUMP_OK);

    /* The node. */
    said.sequence = 2;
    expect("answer", fence_kdump_answer(challenge, sizeof challenge, &said, own.key, 5 * S, &answers, answer,
           sizeof answer, &answer_len), FENCE_KDUMP_OK);

    /* The receiver. */
    expect("prove", fence_kdump_prove(answer, answer_len, own.key, 101 * S, clock, &challenger, &memory, &memory,
           &proof), FENCE_KDUMP_OK);
    expect("proof", proof, FENCE_KDUMP_LIVE);
    expect("live", fence_kdump_session_hear(&session, 101 * S, answer, answer_len, FENCE_KDUMP_LIVE, proof, &event),
           FENCE_KDUMP_OK);
    expect("fenced", fence_kdump_session_verdict(&session, 100 * S, 102 * S, NULL), FENCE_KDUMP_OK);
    expect("replay", fence_kdump_prove(answer, answer_len, own.key, 101 * S + 1, clock, &challenger, &memory, &memory,
           &proof), FENCE_KDUMP_ERROR_REPLAYED);
    puts("live");
    return 0;
}
