/* Tells receivers from the crash kernel that this node has crashed.
 * Usage: sender ADDRESS...                 cc sender.c $(pkg-config --cflags --libs fence_kdump) */
#define _POSIX_C_SOURCE 200809L
#include <fence_kdump.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* To each address of a receiver; what fails now is tried again in the next round. */
static int tell(const char *node, const uint8_t *message, size_t len)
{
    struct addrinfo hints, *found, *at;
    int told = 0;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_DGRAM;
    if (getaddrinfo(node, "7410", &hints, &found) != 0)
        return 0;
    for (at = found; at; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_DGRAM, 0);
        told += fd >= 0 && sendto(fd, message, len, 0, at->ai_addr, at->ai_addrlen) == (ssize_t)len;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(found);
    return told;
}

int main(int argc, char **argv)
{
    uint8_t message[FENCE_KDUMP_MESSAGE_LEN];
    int round, node;
    if (fence_kdump_encode(message, sizeof message, FENCE_KDUMP_NATIVE) != FENCE_KDUMP_OK || argc < 2)
        return fputs("usage: sender ADDRESS...\n", stderr), 1;
    for (round = 0;; round++, sleep(round < 4 ? 1 : 10)) /* a short burst, then for as long as we run */
        for (node = 1; node < argc; node++)
            if (!tell(argv[node], message, sizeof message))
                fprintf(stderr, "%s: not told, trying again\n", argv[node]);
}
