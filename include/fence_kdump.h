/* The fence_kdump protocol: tell a cluster that a node has crashed into its kdump kernel.
 *
 * No function allocates, reads a clock, or needs more of a C library than memcpy and its kin. Times are in
 * nanoseconds of a monotonic clock of the caller's (on Linux CLOCK_BOOTTIME). Functions that can fail
 * return FENCE_KDUMP_OK, which is 0, or a code that fence_kdump_error_text explains. NULL, misaligned
 * pointers and wrong sizes are errors, never followed. One thread at a time may use a session, tracker,
 * challenger or answers; different ones do not know of each other.
 *
 * Generated from core/capi by `make header`; do not edit. MIT OR Apache-2.0. */

#ifndef FENCE_KDUMP_H
#define FENCE_KDUMP_H

#include <stddef.h>
#include <stdint.h>

/* Memory for a tracker of so many nodes, in bytes, as fence_kdump_tracker_size. */
#define FENCE_KDUMP_TRACKER_SIZE(nodes) \
    (FENCE_KDUMP_TRACKER_BASE + (size_t)(nodes) * FENCE_KDUMP_TRACKER_NODE)

#if defined(__GNUC__)
#define FENCE_KDUMP_MUST_USE __attribute__((warn_unused_result))
#else
#define FENCE_KDUMP_MUST_USE
#endif


// Length in bytes of a challenge.
#define FENCE_KDUMP_CHALLENGE_LEN 72

// Length in bytes of a nonce.
#define FENCE_KDUMP_NONCE_LEN 16

// Success. Codes are numbered once and never reused.
#define FENCE_KDUMP_OK 0

// A pointer that must not be NULL is NULL.
#define FENCE_KDUMP_ERROR_NULL 1

// The caller's buffer is too small.
#define FENCE_KDUMP_ERROR_BUFFER 2

// The byte order is none of `FENCE_KDUMP_NATIVE`, `_LITTLE` and `_BIG`.
#define FENCE_KDUMP_ERROR_BYTE_ORDER 3

// A pointer is not aligned for what it points to.
#define FENCE_KDUMP_ERROR_ALIGNMENT 4

// A size is not that of what the memory is for.
#define FENCE_KDUMP_ERROR_SIZE 5

// The memory was not prepared by the `_init` function that belongs to it, or was moved since.
#define FENCE_KDUMP_ERROR_MEMORY 6

// A number that is none of those that the parameter or field can have.
#define FENCE_KDUMP_ERROR_VALUE 7

// There is no node of that number.
#define FENCE_KDUMP_ERROR_NODE 8

// What is remembered is of another crash than the message.
#define FENCE_KDUMP_ERROR_CRASH_ID 9

// The line is no `node` line of a key file, or was damaged (PROTOCOL.md, section 5.1).
#define FENCE_KDUMP_ERROR_KEY_LINE 10

// The datagram has no bytes.
#define FENCE_KDUMP_ERROR_EMPTY 16

// The datagram has 1 to 7 bytes.
#define FENCE_KDUMP_ERROR_TRUNCATED 17

// The datagram does not start with the magic number in either byte order.
#define FENCE_KDUMP_ERROR_MAGIC 18

// The message is of a version that this library does not speak.
#define FENCE_KDUMP_ERROR_VERSION 19

// The message is followed by bytes that are no extension.
#define FENCE_KDUMP_ERROR_TRAILING 20

// The datagram is longer than any message.
#define FENCE_KDUMP_ERROR_TOO_LONG 21

// Retired: malformed extension. The codes from 23 to 30 say what is wrong with it.
#define FENCE_KDUMP_ERROR_EXTENSION 22

// A field follows the MAC, which does not cover it.
#define FENCE_KDUMP_ERROR_MAC_NOT_LAST 23

// A field is longer than what is left of the datagram.
#define FENCE_KDUMP_ERROR_FIELD_CUT_OFF 24

// A second field of one type.
#define FENCE_KDUMP_ERROR_REPEATED_FIELD 25

// A field that must be understood and is not.
#define FENCE_KDUMP_ERROR_CRITICAL_FIELD 26

// A field that has another length than its type demands.
#define FENCE_KDUMP_ERROR_FIELD_LENGTH 27

// A node name that none can be: 1 to 253 characters, `!` to `~`.
#define FENCE_KDUMP_ERROR_NODE_NAME 28

// A MAC of an algorithm that this library does not know.
#define FENCE_KDUMP_ERROR_ALGORITHM 29

// A signed message without a field that each one has.
#define FENCE_KDUMP_ERROR_MISSING_FIELD 30

// Refused for a cause that this version of the library has no code for.
#define FENCE_KDUMP_ERROR_REFUSED 31

// The message is of nobody that is known here.
#define FENCE_KDUMP_ERROR_STRANGER 32

// The message has no MAC, and one is demanded.
#define FENCE_KDUMP_ERROR_UNSIGNED 33

// The message was signed with a key that is not known here.
#define FENCE_KDUMP_ERROR_UNKNOWN_KEY 34

// The authentication code is wrong.
#define FENCE_KDUMP_ERROR_BAD_MAC 35

// The message, or a later one of the same crash, was heard before.
#define FENCE_KDUMP_ERROR_REPLAYED 36

// The message was under way for too long.
#define FENCE_KDUMP_ERROR_LATE 37

// The message is of a crash that was heard by another clock, before the receiver's host was started.
#define FENCE_KDUMP_ERROR_OVER 38

// The message would have to be remembered, and that is not possible.
#define FENCE_KDUMP_ERROR_UNREMEMBERED 39

// The message answers no challenge, and that is demanded.
#define FENCE_KDUMP_ERROR_UNPROVEN 40

// The datagram is no challenge.
#define FENCE_KDUMP_ERROR_NO_CHALLENGE 41

// The challenge follows a message of somebody else, or of another crash.
#define FENCE_KDUMP_ERROR_NOT_OURS 42

// No more answers at present: 32 in a second, 4 to one nonce.
#define FENCE_KDUMP_ERROR_TOO_MANY 43

// The message is not to be challenged: it is an answer, or no later than one that was.
#define FENCE_KDUMP_ERROR_UNCHALLENGED 44

// Not known to be in its crash kernel: the node never sent a message.
#define FENCE_KDUMP_NEVER_HEARD 48

// Not known to be in its crash kernel: the latest message came too early to be evidence of now.
#define FENCE_KDUMP_TOO_OLD 49

// Not known to be in its crash kernel: the dump is over, or the node was silent for too long.
#define FENCE_KDUMP_ENDED 50

// Not known to be in its crash kernel: the latest message is dated after the question's present.
#define FENCE_KDUMP_FROM_THE_FUTURE 51

// Not known to be in its crash kernel, for a cause that this version of the library has no code for.
#define FENCE_KDUMP_NOT_KNOWN 52

// How long a node may be silent by default, in nanoseconds: 30 s.
#define FENCE_KDUMP_SILENCE 30000000000

// How old a remembered message may be at most, in nanoseconds: 10 s.
#define FENCE_KDUMP_MAX_AGE 10000000000

// No such time.
#define FENCE_KDUMP_NEVER UINT64_MAX

// Nothing happened.
#define FENCE_KDUMP_EVENT_NONE 0

// The first message of a session. An earlier one of this node, if any, is over.
#define FENCE_KDUMP_EVENT_STARTED 1

// The second message of a session, or one that shows that it had not finished after all.
#define FENCE_KDUMP_EVENT_DUMPING 2

// One more message that changes nothing.
#define FENCE_KDUMP_EVENT_HEARD 3

// The node does something else now, and has proven that it says so: see the status.
#define FENCE_KDUMP_EVENT_PHASE 4

// The node was silent for too long, or has said (and proven) that it is done.
#define FENCE_KDUMP_EVENT_FINISHED 5

// Nothing was ever heard of this node.
#define FENCE_KDUMP_STATE_UNHEARD 0

// One message was heard.
#define FENCE_KDUMP_STATE_STARTED 1

// More than one message was heard.
#define FENCE_KDUMP_STATE_DUMPING 2

// The node was silent for too long, or said that its dump is over: it may have rebooted.
#define FENCE_KDUMP_STATE_FINISHED 3

// Length in bytes of a key.
#define FENCE_KDUMP_KEY_LEN 32

// Length in bytes of a key id.
#define FENCE_KDUMP_KEY_ID_LEN 4

// The UDP port on which nodes listen unless told otherwise.
#define FENCE_KDUMP_PORT 7410

// Length in bytes of a plain message.
#define FENCE_KDUMP_MESSAGE_LEN 8

// The most bytes that a message has. Read datagrams into a buffer that is at least one byte larger.
#define FENCE_KDUMP_DATAGRAM_MAX 508

// Room for a node name and the zero after it.
#define FENCE_KDUMP_NAME_SIZE 254

// The byte order of the machine that the library was built for.
#define FENCE_KDUMP_NATIVE 0

// Least significant byte first.
#define FENCE_KDUMP_LITTLE 1

// Most significant byte first.
#define FENCE_KDUMP_BIG 2

// Bit of `has`: `node_name`.
#define FENCE_KDUMP_HAS_NODE_NAME 1

// Bit of `has`: `machine_id`.
#define FENCE_KDUMP_HAS_MACHINE_ID 2

// Bit of `has`: `crash_id`.
#define FENCE_KDUMP_HAS_CRASH_ID 4

// Bit of `has`: `sequence`.
#define FENCE_KDUMP_HAS_SEQUENCE 8

// Bit of `has`: `wall_clock_ms`.
#define FENCE_KDUMP_HAS_WALL_CLOCK 16

// Bit of `has`: `uptime_ms`.
#define FENCE_KDUMP_HAS_UPTIME 32

// Bit of `has`: `interval_ms`.
#define FENCE_KDUMP_HAS_INTERVAL 64

// Bit of `has`: `phase`.
#define FENCE_KDUMP_HAS_PHASE 128

// Bit of `has`: `done` and `total`.
#define FENCE_KDUMP_HAS_PROGRESS 256

// Bit of `has`: `answer`.
#define FENCE_KDUMP_HAS_ANSWER 512

// Bit of `has`: `key_id`.
#define FENCE_KDUMP_HAS_KEY_ID 1024

// Bit of `has`: something follows the first eight bytes. Heeded in messages that were read only.
#define FENCE_KDUMP_HAS_EXTENSION 1073741824

// Bit of `has`: there is a MAC, which `fence_kdump_verify` looks at. Heeded in messages that were read
// only.
#define FENCE_KDUMP_HAS_MAC 2147483648

// The node has started its crash kernel.
#define FENCE_KDUMP_BOOTED 1

// The node writes its dump.
#define FENCE_KDUMP_DUMPING 2

// The node has written its dump and will reboot.
#define FENCE_KDUMP_FINISHED 3

// The node could not write its dump.
#define FENCE_KDUMP_FAILED 4

// The node is about to reboot.
#define FENCE_KDUMP_LEAVING 5

// It came from an address; as a policy: it has to come from one of the node's addresses.
#define FENCE_KDUMP_PLAIN 1

// It was signed with the node's key and is no replay; as a policy: that is demanded.
#define FENCE_KDUMP_SIGNED 2

// The holder of the node's key runs now; as a policy: that is demanded.
#define FENCE_KDUMP_LIVE 3

// Bytes of a tracker besides its nodes.
#define FENCE_KDUMP_TRACKER_BASE 384

// Bytes of a tracker for each node.
#define FENCE_KDUMP_TRACKER_NODE 80

// How memory for a tracker has to be aligned, in bytes.
#define FENCE_KDUMP_TRACKER_ALIGN 8

// The sessions of many nodes, which are numbered from 0 on. No function's cost grows with their number.
typedef struct fence_kdump_tracker fence_kdump_tracker;

// What a challenge says.
typedef struct fence_kdump_challenge_said {
  // The `key_id` of the message that it follows.
  uint8_t key_id[4];
  // The `crash_id` of the message that it follows.
  uint8_t crash_id[16];
  // What has to come back as `answer`.
  uint8_t nonce[FENCE_KDUMP_NONCE_LEN];
} fence_kdump_challenge_said;

// Memory of a sender's: how many challenges it has answered lately.
typedef struct fence_kdump_answers {
  // For the library alone.
  uint64_t opaque[72];
} fence_kdump_answers;

// What a message says (PROTOCOL.md, section 4.2). Start with `fence_kdump_message message = {0};`.
//
// A field counts when its bit of `has` is set. Nothing of it is proven before `fence_kdump_prove` has
// said so.
typedef struct fence_kdump_message {
  // `FENCE_KDUMP_HAS_…` of the fields that there are.
  uint32_t has;
  // `FENCE_KDUMP_NATIVE`, `_LITTLE` or `_BIG`. Senders use the first.
  int32_t byte_order;
  // Greater in each message of one crash.
  uint64_t sequence;
  // The sender's clock, in milliseconds since 1970-01-01 00:00 UTC. For people only.
  uint64_t wall_clock_ms;
  // Since the crash kernel started, in milliseconds, by its monotonic clock.
  uint64_t uptime_ms;
  // How much of the dump is done, in bytes.
  uint64_t done;
  // How much there is, in bytes; 0 when that is not known.
  uint64_t total;
  // Until the next message at the latest, in milliseconds.
  uint32_t interval_ms;
  // Names the cluster key that the node's key comes from.
  uint8_t key_id[4];
  // The machine's id, as in machine-id(5).
  uint8_t machine_id[16];
  // Random; the same in all messages of one run of the sender.
  uint8_t crash_id[16];
  // The nonce of the challenge that the message answers.
  uint8_t answer[16];
  // `FENCE_KDUMP_BOOTED` and its kin; another number says nothing.
  uint8_t phase;
  // Zero.
  uint8_t reserved;
  // The node's name and a zero.
  char node_name[FENCE_KDUMP_NAME_SIZE];
} fence_kdump_message;

// Memory of a receiver's, for one node: which nonce is to come back, and which messages were challenged.
typedef struct fence_kdump_challenger {
  // For the library alone.
  uint64_t opaque[40];
} fence_kdump_challenger;

// The key of a node, as a line of a key file has it. Wipe it when it is no longer needed.
typedef struct fence_kdump_node_key {
  // The key.
  uint8_t key[FENCE_KDUMP_KEY_LEN];
  // Names the cluster key that it comes from: the `key_id` of messages.
  uint8_t key_id[FENCE_KDUMP_KEY_ID_LEN];
  // The node's name and a zero.
  char node_name[FENCE_KDUMP_NAME_SIZE];
} fence_kdump_node_key;

// What a receiver remembers of one crash of a node, so that no message counts twice. What is
// remembered MUST survive restarts of the receiver and of its host.
typedef struct fence_kdump_crash {
  // Which crash.
  uint8_t crash_id[16];
  // Which clock the times are of: on Linux, the 16 bytes of `/proc/sys/kernel/random/boot_id`.
  uint8_t clock[16];
  // When the crash kernel started at the latest, in nanoseconds of that clock.
  int64_t origin;
  // The greatest sequence.
  uint64_t sequence;
  // When the message with that one arrived, in nanoseconds of that clock.
  uint64_t heard_at;
} fence_kdump_crash;

// Memory for one node's session. It may be moved and copied.
typedef struct fence_kdump_session {
  // For the library alone.
  uint64_t opaque[48];
} fence_kdump_session;

// What is known of a node, for showing it. Whether it counts as fenced, only a verdict says.
typedef struct fence_kdump_status {
  // When the first message of the present or last session arrived, or `FENCE_KDUMP_NEVER`.
  uint64_t first_heard;
  // When the latest message arrived, or `FENCE_KDUMP_NEVER`.
  uint64_t last_heard;
  // How much of the dump is done, in bytes.
  uint64_t done;
  // How much there is, in bytes; 0 when that is not known.
  uint64_t total;
  // How many messages the session had.
  uint32_t messages;
  // `FENCE_KDUMP_STATE_…`.
  uint8_t state;
  // How far the latest message was proven: `FENCE_KDUMP_PLAIN`, `_SIGNED`, `_LIVE`, or 0.
  uint8_t proof;
  // What the node has proven that it does: `FENCE_KDUMP_BOOTED` and its kin, or 0.
  uint8_t phase;
  // Zero.
  uint8_t reserved;
} fence_kdump_status;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of this library, such as "0.1.0", as text that lives as long as the program.
const char *fence_kdump_version(void);

// Reads one whole datagram of `len` bytes as a challenge that was made with the node's key `key`, and
// writes it to `challenge`.
//
// Returns `FENCE_KDUMP_OK`, `FENCE_KDUMP_ERROR_NO_CHALLENGE` or `_BAD_MAC`.
//
// # Safety
//
// `datagram` is NULL or points to `len` readable bytes, `key` is NULL or points to
// `FENCE_KDUMP_KEY_LEN` readable bytes, `challenge` is NULL or points to a writable challenge.
FENCE_KDUMP_MUST_USE
int fence_kdump_challenge_read(const uint8_t *datagram,
                               size_t len,
                               const uint8_t *key,
                               struct fence_kdump_challenge_said *challenge);

// Prepares `answers`, `size` being its size.
//
// # Safety
//
// `answers` is NULL or points to `size` writable bytes.
FENCE_KDUMP_MUST_USE int fence_kdump_answers_init(struct fence_kdump_answers *answers, size_t size);

// Answers a challenge of `len` bytes that has arrived at `now`: writes a signed message that says what
// `message` says, and the answer, to `buffer` and its length to `answer_len`. Send it to where the
// challenge came from, at once, and to nobody else.
//
// `message` is to have a `sequence` of its own, as for `fence_kdump_message_sign`. `now` is in nanoseconds
// of a monotonic clock. Returns `FENCE_KDUMP_OK`, or `FENCE_KDUMP_ERROR_NO_CHALLENGE`, `_BAD_MAC`,
// `_NOT_OURS` when it does not have the `key_id` and `crash_id` of `message`, `_TOO_MANY`, and what
// `fence_kdump_message_sign` returns; then nothing is to be sent.
//
// # Safety
//
// `challenge` is NULL or points to `len` readable bytes, `key` to `FENCE_KDUMP_KEY_LEN` ones or nothing,
// `message` to a message or nothing, `answers` to what `fence_kdump_answers_init` has prepared or
// nothing, `buffer` to `size` writable bytes or nothing, `answer_len` to a writable `size_t` or nothing;
// these do not overlap.
FENCE_KDUMP_MUST_USE
int fence_kdump_answer(const uint8_t *challenge,
                       size_t len,
                       const struct fence_kdump_message *message,
                       const uint8_t *key,
                       uint64_t now,
                       struct fence_kdump_answers *answers,
                       uint8_t *buffer,
                       size_t size,
                       size_t *answer_len);

// Prepares `challenger`, `size` being its size. Each node needs one of its own.
//
// # Safety
//
// `challenger` is NULL or points to `size` writable bytes.
FENCE_KDUMP_MUST_USE
int fence_kdump_challenger_init(struct fence_kdump_challenger *challenger,
                                size_t size);

// Challenges the sender of a message of `len` bytes that has arrived at `now`: writes
// `FENCE_KDUMP_CHALLENGE_LEN` bytes to `buffer`. Send them to the address and port that the message came
// from, from the port at which it arrived.
//
// `random` is to be `FENCE_KDUMP_NONCE_LEN` new bytes that nobody can guess, as from getrandom(2); `now`
// is in nanoseconds of a monotonic clock. Returns `FENCE_KDUMP_OK`, or why nothing is to be sent:
// `FENCE_KDUMP_ERROR_UNSIGNED`, `_BAD_MAC`, `_UNCHALLENGED`, or why it is no message.
//
// # Safety
//
// `challenger` is NULL or points to what `fence_kdump_challenger_init` has prepared, `datagram` to `len`
// readable bytes or nothing, `key` and `random` to `FENCE_KDUMP_KEY_LEN` and `FENCE_KDUMP_NONCE_LEN` ones
// or nothing, `buffer` to `size` writable bytes or nothing; these do not overlap.
FENCE_KDUMP_MUST_USE
int fence_kdump_challenge(struct fence_kdump_challenger *challenger,
                          const uint8_t *datagram,
                          size_t len,
                          const uint8_t *key,
                          uint64_t now,
                          const uint8_t *random,
                          uint8_t *buffer,
                          size_t size);

// The name of a code as it stands in this header, such as "FENCE_KDUMP_OK", as text that lives as
// long as the program; "unknown code" for a number that is none. Never NULL.
const char *fence_kdump_error_name(int code);

// What a code means, as English text that lives as long as the program. Never NULL.
const char *fence_kdump_error_text(int code);

// The `not_before` of a question that is asked at `now` by somebody who was started at `started` to
// know it and accepts remembered messages that are not older than `max_age`, or `FENCE_KDUMP_MAX_AGE` if
// that is less (PROTOCOL.md, section 12.1). All in nanoseconds of one monotonic clock.
//
// With a `max_age` of 0, only what arrived after `started` counts. It is never more than
// `FENCE_KDUMP_MAX_AGE` before `now`, since who asks may have been held up while the node rebooted; what only
// counts when it is live counts for 2 s, for which the caller takes what is later.
uint64_t fence_kdump_not_before(uint64_t started,
                                uint64_t now,
                                uint64_t max_age);

// Writes to `max_age` how old a remembered message of `len` bytes may be, in nanoseconds: never more
// than `FENCE_KDUMP_MAX_AGE`, and 0 when it says that the dump is over (PROTOCOL.md, section 12.1).
//
// # Safety
//
// `datagram` is NULL or points to `len` readable bytes; `max_age` is NULL or points to a writable
// `uint64_t`.
FENCE_KDUMP_MUST_USE
int fence_kdump_max_age(const uint8_t *datagram,
                        size_t len,
                        uint64_t *max_age);

// Writes the `FENCE_KDUMP_KEY_ID_LEN` bytes that name a key to `key_id`: of a cluster key, what messages
// have as `key_id`.
//
// # Safety
//
// `key` is NULL or points to `FENCE_KDUMP_KEY_LEN` readable bytes; `key_id` is NULL or points to
// `FENCE_KDUMP_KEY_ID_LEN` writable bytes.
FENCE_KDUMP_MUST_USE
int fence_kdump_key_id(const uint8_t *key,
                       uint8_t *key_id);

// Derives the key of the node `node_name` from the cluster key `cluster_key` and writes it to `key`.
// Upper and lower case are the same.
//
// # Safety
//
// `cluster_key` is NULL or points to `FENCE_KDUMP_KEY_LEN` readable bytes, `node_name` is NULL or
// points to text that ends with a zero, `key` is NULL or points to `FENCE_KDUMP_KEY_LEN` writable
// bytes.
FENCE_KDUMP_MUST_USE
int fence_kdump_key_derive(const uint8_t *cluster_key,
                           const char *node_name,
                           uint8_t *key);

// Reads a line of a key file, without its end (PROTOCOL.md, section 5.1): `node KEYID KEY CHECK NAME`.
//
// Returns `FENCE_KDUMP_ERROR_KEY_LINE` for any other line, an empty one and a remark among them, and for
// one whose CHECK does not fit its key; then `node_key` is as it was.
//
// # Safety
//
// `line` is NULL or points to `len` readable bytes; `node_key` is NULL or points to a writable node key.
FENCE_KDUMP_MUST_USE
int fence_kdump_key_line(const char *line,
                         size_t len,
                         struct fence_kdump_node_key *node_key);

// Whether the datagram is a message that was signed with the node's key `key`: `FENCE_KDUMP_OK`,
// `FENCE_KDUMP_ERROR_UNSIGNED`, `_BAD_MAC`, or why it is no message.
//
// The key has to be that of the node which the message names. That it was signed does not mean that
// it is no replay: see `fence_kdump_prove`.
//
// # Safety
//
// `datagram` is NULL or points to `len` readable bytes, `key` is NULL or points to
// `FENCE_KDUMP_KEY_LEN` readable bytes.
FENCE_KDUMP_MUST_USE
int fence_kdump_verify(const uint8_t *datagram,
                       size_t len,
                       const uint8_t *key);

// Writes a plain message of `FENCE_KDUMP_MESSAGE_LEN` bytes to `buffer`, in `byte_order`.
//
// Senders use `FENCE_KDUMP_NATIVE`. Returns `FENCE_KDUMP_OK`, or `FENCE_KDUMP_ERROR_NULL`,
// `_BUFFER` or `_BYTE_ORDER`, and then has written nothing.
//
// # Safety
//
// `buffer` is NULL or points to `size` writable bytes.
FENCE_KDUMP_MUST_USE int fence_kdump_encode(uint8_t *buffer, size_t size, int byte_order);

// Reads one whole datagram of `len` bytes. Never pass a datagram that was cut to a buffer.
//
// Returns `FENCE_KDUMP_OK` when it is a message, and then writes `FENCE_KDUMP_LITTLE` or `_BIG`
// to `byte_order` unless that is NULL. Returns an error code otherwise and writes nothing.
//
// # Safety
//
// `datagram` is NULL or points to `len` readable bytes; `byte_order` is NULL or points to a
// writable int.
FENCE_KDUMP_MUST_USE int fence_kdump_decode(const uint8_t *datagram, size_t len, int *byte_order);

// Reads one whole datagram of `len` bytes and writes what it says to `message`. Never pass a datagram
// that was cut to a buffer.
//
// A MAC is not verified here: see `fence_kdump_verify` and `fence_kdump_prove`. Returns
// `FENCE_KDUMP_OK`; otherwise the message is as it was.
//
// # Safety
//
// `datagram` is NULL or points to `len` readable bytes; `message` is NULL or points to a writable
// message.
FENCE_KDUMP_MUST_USE
int fence_kdump_message_read(const uint8_t *datagram,
                             size_t len,
                             struct fence_kdump_message *message);

// Writes a message that says what `message` says, unsigned, to `buffer`, and its length to `len`.
//
// One that says nothing is plain. Buffers of `FENCE_KDUMP_DATAGRAM_MAX` bytes are always large enough.
// Returns `FENCE_KDUMP_OK`; otherwise nothing was written.
//
// # Safety
//
// `message` is NULL or points to a message, `buffer` to `size` writable bytes or nothing, `len` is
// NULL or points to a writable `size_t`; these do not overlap.
FENCE_KDUMP_MUST_USE
int fence_kdump_message_write(const struct fence_kdump_message *message,
                              uint8_t *buffer,
                              size_t size,
                              size_t *len);

// Writes a message that says what `message` says, signed with the node's key `key` of
// `FENCE_KDUMP_KEY_LEN` bytes, to `buffer`, and its length to `len`.
//
// It must have `node_name`, `crash_id`, `sequence`, `uptime_ms` and `key_id`; the first must be the name
// that the key is of. Each message needs a `sequence` of its own. Returns `FENCE_KDUMP_OK`; otherwise
// nothing was written.
//
// # Safety
//
// As for `fence_kdump_message_write`; `key` is NULL or points to `FENCE_KDUMP_KEY_LEN` readable bytes.
FENCE_KDUMP_MUST_USE
int fence_kdump_message_sign(const struct fence_kdump_message *message,
                             const uint8_t *key,
                             uint8_t *buffer,
                             size_t size,
                             size_t *len);

// What a message of `len` bytes proves that arrived at `at`, in nanoseconds of the clock `clock` (16
// bytes): writes `FENCE_KDUMP_SIGNED` or `_LIVE` to `proof`, and to `remember` what is to be remembered.
//
// `key` is that of the node which the message names, `challenger` that node's or NULL. `known` is what
// is remembered of this node and the message's `crash_id`, NULL if that is nothing; it may be the same
// as `remember`. **A message that proves `FENCE_KDUMP_SIGNED` counts only once `remember` is written
// down.** A message without MAC is not looked at here: it proves `FENCE_KDUMP_PLAIN` when its source
// address is the node's.
//
// Returns `FENCE_KDUMP_OK`; or `FENCE_KDUMP_ERROR_UNSIGNED`, `_BAD_MAC`, `_REPLAYED`, `_LATE`, `_OVER`,
// `_CRASH_ID` when `known` is of another crash, or why it is no message; then the message does not count.
//
// # Safety
//
// `datagram` is NULL or points to `len` readable bytes, `key` and `clock` to `FENCE_KDUMP_KEY_LEN` and 16
// ones or nothing, `challenger` to what `fence_kdump_challenger_init` has prepared or nothing, `known` and
// `remember` to a crash or nothing, `proof` to a writable int or nothing.
FENCE_KDUMP_MUST_USE
int fence_kdump_prove(const uint8_t *datagram,
                      size_t len,
                      const uint8_t *key,
                      uint64_t at,
                      const uint8_t *clock,
                      struct fence_kdump_challenger *challenger,
                      const struct fence_kdump_crash *known,
                      struct fence_kdump_crash *remember,
                      int *proof);

// Whether `policy` lets a message be believed that proves `proof`: `FENCE_KDUMP_OK`,
// `FENCE_KDUMP_ERROR_UNSIGNED`, `_UNPROVEN`, or `_VALUE` when one of them is none of
// `FENCE_KDUMP_PLAIN`, `_SIGNED` and `_LIVE`.
FENCE_KDUMP_MUST_USE int fence_kdump_admit(int policy, int proof);

// Prepares `session`, `size` being its size, for a node of which nothing was heard. It has finished
// when nothing is heard for `silence` nanoseconds, usually `FENCE_KDUMP_SILENCE`; longer for a node that
// has proven to have promised to speak less often.
//
// # Safety
//
// `session` is NULL or points to `size` writable bytes.
FENCE_KDUMP_MUST_USE
int fence_kdump_session_init(struct fence_kdump_session *session,
                             size_t size,
                             uint64_t silence);

// A whole datagram of `len` bytes of this node came, which arrived at `at`, in nanoseconds of a monotonic
// clock; `policy` is the node's, and `proof` what the message proves: what `fence_kdump_prove` has said,
// or `FENCE_KDUMP_PLAIN`. What it changed is written to `event` unless that is NULL.
//
// Returns `FENCE_KDUMP_OK` when it is believed, or why it is not; then the session is as it was.
//
// # Safety
//
// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `datagram` to `len`
// readable bytes or nothing, `event` to a writable int or nothing; these do not overlap.
FENCE_KDUMP_MUST_USE
int fence_kdump_session_hear(struct fence_kdump_session *session,
                             uint64_t at,
                             const uint8_t *datagram,
                             size_t len,
                             int policy,
                             int proof,
                             int *event);

// Time has passed: writes `FENCE_KDUMP_EVENT_FINISHED` to `event`, once, when the session has finished by
// `now`; `FENCE_KDUMP_EVENT_NONE` otherwise. Verdicts do not wait for this call.
//
// # Safety
//
// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `event` to a writable int
// or nothing.
FENCE_KDUMP_MUST_USE
int fence_kdump_session_tick(struct fence_kdump_session *session,
                             uint64_t now,
                             int *event);

// Writes to `at` when `fence_kdump_session_tick` will have something to tell, unless a message comes
// first; `FENCE_KDUMP_NEVER` when it will not.
//
// # Safety
//
// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `at` to a writable
// `uint64_t` or nothing.
FENCE_KDUMP_MUST_USE
int fence_kdump_session_deadline(const struct fence_kdump_session *session,
                                 uint64_t *at);

// Writes what is known at `now` to `status`, for showing it.
//
// # Safety
//
// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `status` to a writable
// status or nothing.
FENCE_KDUMP_MUST_USE
int fence_kdump_session_status(const struct fence_kdump_session *session,
                               uint64_t now,
                               struct fence_kdump_status *status);

// **The verdict**: `FENCE_KDUMP_OK` if and only if the node is in its crash kernel, so that it need not
// be fenced by other means. **Every other value means that this is not known**: `FENCE_KDUMP_NEVER_HEARD`,
// `_TOO_OLD`, `_ENDED`, `_FROM_THE_FUTURE`, `_NOT_KNOWN`, or an error.
//
// Asked at `now`; messages that arrived before `not_before` are no evidence, since the node may have
// rebooted: usually the time at which the caller was told to find out, see also
// `fence_kdump_not_before`. When the latest message arrived is written to `heard_at` unless that is NULL.
//
// # Safety
//
// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `heard_at` to a writable
// `uint64_t` or nothing.
FENCE_KDUMP_MUST_USE
int fence_kdump_session_verdict(const struct fence_kdump_session *session,
                                uint64_t not_before,
                                uint64_t now,
                                uint64_t *heard_at);

// How many bytes a tracker of so many nodes needs, as `FENCE_KDUMP_TRACKER_SIZE`; 0 when there is no
// such size.
size_t fence_kdump_tracker_size(uint32_t nodes);

// Makes a tracker of the nodes from 0 to `nodes` - 1 in `memory`, of which nothing was heard, and writes
// it to `tracker`. The memory belongs to the tracker for as long as that is used, and must not be moved.
// There is nothing to be freed.
//
// `size` is the memory's: `FENCE_KDUMP_TRACKER_SIZE(nodes)` or more; it has to be aligned to
// `FENCE_KDUMP_TRACKER_ALIGN` bytes. A session has finished when nothing is heard for `silence`
// nanoseconds, usually `FENCE_KDUMP_SILENCE`; longer for nodes that have proven to have promised to speak
// less often.
//
// # Safety
//
// `memory` is NULL or points to `size` writable bytes, `tracker` is NULL or points to a writable pointer
// elsewhere.
FENCE_KDUMP_MUST_USE
int fence_kdump_tracker_init(void *memory,
                             size_t size,
                             uint32_t nodes,
                             uint64_t silence,
                             struct fence_kdump_tracker **tracker);

// A whole datagram of `len` bytes of the node `node` came, which arrived at `at`, in nanoseconds of a
// monotonic clock; `policy` is the node's, and `proof` what the message proves: what `fence_kdump_prove`
// has said, or `FENCE_KDUMP_PLAIN`. What it changed is written to `event` unless that is NULL.
//
// Whose datagram it is, is for the caller to say, by its source address or, when it was proven, its
// name. A node that there is not is `FENCE_KDUMP_ERROR_STRANGER`. Returns `FENCE_KDUMP_OK` when it is
// believed, or why it is not; then no session has changed. Each datagram is counted once.
//
// # Safety
//
// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `datagram` is NULL or points to `len`
// readable bytes, `event` is NULL or points to a writable int; these do not overlap.
FENCE_KDUMP_MUST_USE
int fence_kdump_tracker_hear(struct fence_kdump_tracker *tracker,
                             uint32_t node,
                             uint64_t at,
                             const uint8_t *datagram,
                             size_t len,
                             int policy,
                             int proof,
                             int *event);

// A message came that is not believed for the cause `cause`, one of `FENCE_KDUMP_ERROR_STRANGER` to
// `_UNPROVEN`: it is counted, and that is all.
//
// # Safety
//
// `tracker` is NULL or what `fence_kdump_tracker_init` has made.
FENCE_KDUMP_MUST_USE
int fence_kdump_tracker_disbelieve(struct fence_kdump_tracker *tracker,
                                   int cause);

// The next session that has finished by `now`: writes its node to `node` and
// `FENCE_KDUMP_EVENT_FINISHED` to `event`; call until that is `FENCE_KDUMP_EVENT_NONE`. Verdicts do not
// wait for this call.
//
// # Safety
//
// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `node` is NULL or points to a writable
// `uint32_t`, `event` to a writable int or nothing.
FENCE_KDUMP_MUST_USE
int fence_kdump_tracker_poll(struct fence_kdump_tracker *tracker,
                             uint64_t now,
                             uint32_t *node,
                             int *event);

// Writes to `at` when `fence_kdump_tracker_poll` will have something to tell, unless a message comes
// first; `FENCE_KDUMP_NEVER` when it will not.
//
// # Safety
//
// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `at` is NULL or points to a writable
// `uint64_t`.
FENCE_KDUMP_MUST_USE
int fence_kdump_tracker_deadline(const struct fence_kdump_tracker *tracker,
                                 uint64_t *at);

// Writes what is known of the node `node` at `now` to `status`, for showing it.
//
// # Safety
//
// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `status` is NULL or points to a writable
// status.
FENCE_KDUMP_MUST_USE
int fence_kdump_tracker_status(const struct fence_kdump_tracker *tracker,
                               uint32_t node,
                               uint64_t now,
                               struct fence_kdump_status *status);

// **The verdict** about the node `node`: see `fence_kdump_session_verdict`. `FENCE_KDUMP_OK` if and only
// if it is in its crash kernel; every other value means that this is not known.
//
// # Safety
//
// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `heard_at` is NULL or points to a
// writable `uint64_t`.
FENCE_KDUMP_MUST_USE
int fence_kdump_tracker_verdict(const struct fence_kdump_tracker *tracker,
                                uint32_t node,
                                uint64_t not_before,
                                uint64_t now,
                                uint64_t *heard_at);

// Forgets everything that was heard of the node `node`, as when it becomes another one's number.
//
// # Safety
//
// `tracker` is NULL or what `fence_kdump_tracker_init` has made.
FENCE_KDUMP_MUST_USE
int fence_kdump_tracker_forget(struct fence_kdump_tracker *tracker,
                               uint32_t node);

// Writes to `count` how many datagrams ended with `outcome`: `FENCE_KDUMP_OK`, or a code from
// `FENCE_KDUMP_ERROR_EMPTY` to `_UNPROVEN`.
//
// # Safety
//
// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `count` is NULL or points to a writable
// `uint64_t`.
FENCE_KDUMP_MUST_USE
int fence_kdump_tracker_count(const struct fence_kdump_tracker *tracker,
                              int outcome,
                              uint64_t *count);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FENCE_KDUMP_H */
