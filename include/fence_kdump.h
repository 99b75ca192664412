/* The fence_kdump protocol: tell a cluster that a node has crashed into its kdump kernel.
 *
 * Generated from core/capi by `make header`; do not edit. MIT OR Apache-2.0. */

#ifndef FENCE_KDUMP_H
#define FENCE_KDUMP_H

#include <stddef.h>
#include <stdint.h>

// The UDP port on which nodes listen unless told otherwise.
#define FENCE_KDUMP_PORT 7410

// Length in bytes of a version 1 message.
#define FENCE_KDUMP_MESSAGE_LEN 8

// The byte order of the machine that the library was built for.
#define FENCE_KDUMP_NATIVE 0

// Least significant byte first.
#define FENCE_KDUMP_LITTLE 1

// Most significant byte first.
#define FENCE_KDUMP_BIG 2

// Success. Codes are numbered once and never reused.
#define FENCE_KDUMP_OK 0

// A pointer that must not be NULL is NULL.
#define FENCE_KDUMP_ERROR_NULL 1

// The caller's buffer is too small.
#define FENCE_KDUMP_ERROR_BUFFER 2

// The byte order is none of `FENCE_KDUMP_NATIVE`, `_LITTLE` and `_BIG`.
#define FENCE_KDUMP_ERROR_BYTE_ORDER 3

// The datagram has no bytes.
#define FENCE_KDUMP_ERROR_EMPTY 16

// The datagram has 1 to 7 bytes.
#define FENCE_KDUMP_ERROR_TRUNCATED 17

// The datagram does not start with the magic number in either byte order.
#define FENCE_KDUMP_ERROR_MAGIC 18

// The message is of a version that this library does not speak.
#define FENCE_KDUMP_ERROR_VERSION 19

// The message is followed by bytes that are no valid extension.
#define FENCE_KDUMP_ERROR_TRAILING 20

// The message has a longer extension than any message can have.
#define FENCE_KDUMP_ERROR_TOO_LONG 21

// The message's extension is malformed.
#define FENCE_KDUMP_ERROR_EXTENSION 22

// The datagram was refused for a cause that this version of the library has no code for.
#define FENCE_KDUMP_ERROR_REFUSED 31

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Writes a message of `FENCE_KDUMP_MESSAGE_LEN` bytes to `buffer`, in `byte_order`.
//
// Senders use `FENCE_KDUMP_NATIVE`. Returns `FENCE_KDUMP_OK`, or `FENCE_KDUMP_ERROR_NULL`,
// `_BUFFER` or `_BYTE_ORDER`, and then has written nothing.
//
// # Safety
//
// `buffer` is NULL or points to `len` writable bytes.
int fence_kdump_encode(uint8_t *buffer, size_t len, int byte_order);

// Reads one whole datagram of `len` bytes. Never pass a datagram that was cut to a buffer.
//
// Returns `FENCE_KDUMP_OK` when it is a message, and then writes `FENCE_KDUMP_LITTLE` or `_BIG`
// to `byte_order` unless that is NULL. Returns an error code otherwise and writes nothing.
//
// # Safety
//
// `datagram` is NULL or points to `len` readable bytes; `byte_order` is NULL or points to a
// writable and aligned int.
int fence_kdump_decode(const uint8_t *datagram, size_t len, int *byte_order);

// What a code means, as English text that lives as long as the program. Never NULL.
const char *fence_kdump_error_text(int code);

// The version of this library, such as "0.1.0", as text that lives as long as the program.
const char *fence_kdump_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FENCE_KDUMP_H */
