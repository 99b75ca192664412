/* What a call has to answer. */
#include <fence_kdump.h>
#include <stdio.h>
#include <stdlib.h>

static void expect(const char *what, int got, int want)
{
    if (got == want)
        return;
    printf("%s: %s, expected %s\n", what, fence_kdump_error_name(got), fence_kdump_error_name(want));
    exit(1);
}
