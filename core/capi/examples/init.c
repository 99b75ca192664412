/* An /init for the crash kernel's initramfs: says that this node has crashed before anything else has a
 * chance to fail, goes on saying so, and becomes the real init, which writes the dump.
 *
 *   musl-gcc -static -Os -o init init.c $(pkg-config --cflags --libs fence_kdump)
 *
 * Receivers are on the kernel's command line: fence_kdump_nodes=192.0.2.1,192.0.2.2 (which the kernel
 * hands to its init as a variable). The network must be up or come up: the kernel's own ip= does that. */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <fence_kdump.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REAL_INIT "/init.real"

static void tell(int fd, const char *nodes, const uint8_t *message, size_t len)
{
    char one[INET_ADDRSTRLEN];

    while (*nodes) {
        struct sockaddr_in to;
        size_t word = strcspn(nodes, ",");

        memset(&to, 0, sizeof to);
        to.sin_family = AF_INET;
        to.sin_port = htons(FENCE_KDUMP_PORT);
        if (word < sizeof one) {
            memcpy(one, nodes, word);
            one[word] = 0;
            /* No route yet, no link yet: the next round will tell. */
            if (inet_pton(AF_INET, one, &to.sin_addr) == 1)
                (void)sendto(fd, message, len, 0, (struct sockaddr *)&to, sizeof to);
            else
                fprintf(stderr, "fence_kdump_nodes: '%s' is no IPv4 address\n", one);
        }
        nodes += word + (nodes[word] == ',');
    }
}

int main(int argc, char **argv)
{
    const char *nodes = getenv("fence_kdump_nodes"), *real = getenv("fence_kdump_init");
    uint8_t message[FENCE_KDUMP_MESSAGE_LEN];
    int code = fence_kdump_encode(message, sizeof message, FENCE_KDUMP_NATIVE);
    pid_t child = nodes && code == FENCE_KDUMP_OK ? fork() : -1;

    if (child == 0) {
        int round, fd = -1;
        for (round = 0;; round++, sleep(round < 4 ? 1 : 10))
            if (fd >= 0 || (fd = socket(AF_INET, SOCK_DGRAM, 0)) >= 0)
                tell(fd, nodes, message, sizeof message);
    }
    if (child < 0)
        fprintf(stderr, "init: no message is sent: %s\n",
                nodes ? fence_kdump_error_text(code) : "fence_kdump_nodes= is missing");
    (void)argc;
    argv[0] = (char *)(real ? real : REAL_INIT);
    execv(argv[0], argv); /* whatever becomes of the messages, the dump is written */
    perror(argv[0]);
    return 1;
}
