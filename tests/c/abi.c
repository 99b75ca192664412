/* What is frozen, as a C compiler sees it: sizes, places, and that C can declare and prepare all memory. */
#include "expect.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
#define CHECK(what) static_assert(what, #what)
#else
#define CHECK(what) _Static_assert(what, #what)
#endif

#define PLACE(type, field, at) CHECK(offsetof(type, field) == (at))

CHECK(sizeof(fence_kdump_message) == 360);
PLACE(fence_kdump_message, has, 0);
PLACE(fence_kdump_message, byte_order, 4);
PLACE(fence_kdump_message, sequence, 8);
PLACE(fence_kdump_message, wall_clock_ms, 16);
PLACE(fence_kdump_message, uptime_ms, 24);
PLACE(fence_kdump_message, done, 32);
PLACE(fence_kdump_message, total, 40);
PLACE(fence_kdump_message, interval_ms, 48);
PLACE(fence_kdump_message, key_id, 52);
PLACE(fence_kdump_message, machine_id, 56);
PLACE(fence_kdump_message, crash_id, 72);
PLACE(fence_kdump_message, answer, 88);
PLACE(fence_kdump_message, phase, 104);
PLACE(fence_kdump_message, node_name, 106);
CHECK(sizeof(fence_kdump_node_key) == 290);
PLACE(fence_kdump_node_key, key_id, 32);
PLACE(fence_kdump_node_key, node_name, 36);
CHECK(sizeof(fence_kdump_challenge_said) == 36);
CHECK(sizeof(fence_kdump_crash) == 56);
PLACE(fence_kdump_crash, clock, 16);
PLACE(fence_kdump_crash, origin, 32);
PLACE(fence_kdump_crash, sequence, 40);
PLACE(fence_kdump_crash, heard_at, 48);
CHECK(sizeof(fence_kdump_status) == 40);
PLACE(fence_kdump_status, messages, 32);
PLACE(fence_kdump_status, state, 36);
CHECK(sizeof(fence_kdump_session) == 384);
CHECK(sizeof(fence_kdump_challenger) == 320);
CHECK(sizeof(fence_kdump_answers) == 576);
CHECK(FENCE_KDUMP_TRACKER_SIZE(1000) == 80384);

int main(void)
{
    /* Exactly as much as was asked for, from the heap, so that a sanitizer sees every byte beyond it. */
    uint32_t nodes = 1000, node;
    size_t size = fence_kdump_tracker_size(nodes);
    void *memory = malloc(size);
    fence_kdump_session *session = (fence_kdump_session *)malloc(sizeof *session);
    fence_kdump_challenger *challenger = (fence_kdump_challenger *)malloc(sizeof *challenger);
    fence_kdump_answers *answers = (fence_kdump_answers *)malloc(sizeof *answers);
    fence_kdump_tracker *tracker = NULL;
    uint8_t *message = (uint8_t *)malloc(FENCE_KDUMP_MESSAGE_LEN);
    uint64_t heard, at;
    int event;

    if (!memory || !session || !challenger || !answers || !message)
        return 1;
    memset(memory, 0xa5, size);
    expect("encode", fence_kdump_encode(message, 8, FENCE_KDUMP_NATIVE), FENCE_KDUMP_OK);
    expect("init", fence_kdump_tracker_init(memory, size, nodes, FENCE_KDUMP_SILENCE, &tracker), FENCE_KDUMP_OK);
    expect("session", fence_kdump_session_init(session, sizeof *session, 1), FENCE_KDUMP_OK);
    expect("challenger", fence_kdump_challenger_init(challenger, sizeof *challenger), FENCE_KDUMP_OK);
    expect("answers", fence_kdump_answers_init(answers, sizeof *answers), FENCE_KDUMP_OK);
    for (node = 0; node < nodes; node++)
        expect("hear", fence_kdump_tracker_hear(tracker, node, 5 + node, message, 8, FENCE_KDUMP_PLAIN,
               FENCE_KDUMP_PLAIN, &event), FENCE_KDUMP_OK);
    expect("beyond", fence_kdump_tracker_hear(tracker, nodes, 5, message, 8, FENCE_KDUMP_PLAIN,
           FENCE_KDUMP_PLAIN, &event), FENCE_KDUMP_ERROR_STRANGER);
    expect("verdict", fence_kdump_tracker_verdict(tracker, 999, 0, 2000, &heard), FENCE_KDUMP_OK);
    expect("heard at", (int)heard, 5 + 999);
    expect("deadline", fence_kdump_tracker_deadline(tracker, &at), FENCE_KDUMP_OK);
    for (node = 0;; node++) {
        uint32_t which;
        expect("poll", fence_kdump_tracker_poll(tracker, at + 999, &which, &event), FENCE_KDUMP_OK);
        if (event == FENCE_KDUMP_EVENT_NONE)
            break;
        expect("in their order", (int)which, (int)node);
    }
    expect("all have finished", (int)node, 1000);
    expect("over", fence_kdump_tracker_verdict(tracker, 999, 0, at + 999, &heard), FENCE_KDUMP_ENDED);
    free(memory);
    free(session);
    free(challenger);
    free(answers);
    free(message);
    puts("as frozen");
    return 0;
}
