/* What a C program may rely on: built with -Wall -Wextra -Wpedantic -Werror by the tests. */
#include <fence_kdump.h>
#include <stdio.h>
#include <string.h>

static int failures;

static void expect(const char *what, int got, int want)
{
    if (got == want)
        return;
    printf("%s: %d (%s), expected %d\n", what, got, fence_kdump_error_text(got), want);
    failures++;
}

int main(void)
{
    static const uint8_t little[] = {0x40, 0x2a, 0x30, 0x1b, 1, 0, 0, 0};
    static const uint8_t big[] = {0x1b, 0x30, 0x2a, 0x40, 0, 0, 0, 1};
    uint8_t storage[FENCE_KDUMP_MESSAGE_LEN + 2];
    uint8_t *odd = storage + 1; /* any address is aligned enough */
    int order = -1;

    expect("encode little", fence_kdump_encode(odd, 8, FENCE_KDUMP_LITTLE), FENCE_KDUMP_OK);
    expect("little bytes", memcmp(odd, little, 8), 0);
    expect("encode big", fence_kdump_encode(odd, 9, FENCE_KDUMP_BIG), FENCE_KDUMP_OK);
    expect("big bytes", memcmp(odd, big, 8), 0);
    expect("decode big", fence_kdump_decode(odd, 8, &order), FENCE_KDUMP_OK);
    expect("order", order, FENCE_KDUMP_BIG);
    expect("encode native", fence_kdump_encode(odd, 8, FENCE_KDUMP_NATIVE), FENCE_KDUMP_OK);
    expect("decode native", fence_kdump_decode(odd, 8, NULL), FENCE_KDUMP_OK);

    order = -1;
    expect("encode to NULL", fence_kdump_encode(NULL, 8, FENCE_KDUMP_BIG), FENCE_KDUMP_ERROR_NULL);
    expect("small buffer", fence_kdump_encode(odd, 7, FENCE_KDUMP_BIG), FENCE_KDUMP_ERROR_BUFFER);
    expect("byte order 3", fence_kdump_encode(odd, 8, 3), FENCE_KDUMP_ERROR_BYTE_ORDER);
    expect("decode NULL", fence_kdump_decode(NULL, 8, &order), FENCE_KDUMP_ERROR_NULL);
    expect("decode nothing", fence_kdump_decode(NULL, 0, &order), FENCE_KDUMP_ERROR_EMPTY);
    expect("decode 7", fence_kdump_decode(little, 7, &order), FENCE_KDUMP_ERROR_TRUNCATED);
    memcpy(storage, little, 8);
    storage[8] = 0;
    expect("decode 9", fence_kdump_decode(storage, 9, &order), FENCE_KDUMP_ERROR_TRAILING);
    storage[4] = 2;
    expect("version 2", fence_kdump_decode(storage, 8, &order), FENCE_KDUMP_ERROR_VERSION);
    storage[0] = 0;
    expect("magic", fence_kdump_decode(storage, 8, &order), FENCE_KDUMP_ERROR_MAGIC);
    expect("order untouched", order, -1);
    expect("unknown code", strcmp(fence_kdump_error_text(12345), "unknown code"), 0);
    printf("libfence_kdump %s: %d failed\n", fence_kdump_version(), failures);
    return failures != 0;
}
