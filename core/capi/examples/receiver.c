/* Waits for nodes to crash; ends with 0 as soon as one is known to be in its crash kernel.
 * Usage: receiver IPV4-ADDRESS...          cc receiver.c $(pkg-config --cflags --libs fence_kdump) */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <fence_kdump.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t); /* CLOCK_BOOTTIME is better where there is one */
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
    static uint64_t memory[FENCE_KDUMP_TRACKER_SIZE(64) / sizeof(uint64_t)];
    uint8_t datagram[FENCE_KDUMP_DATAGRAM_MAX + 1]; /* one more, so that nothing too long looks whole */
    fence_kdump_tracker *tracker;
    struct sockaddr_in from = {AF_INET, htons(FENCE_KDUMP_PORT), {INADDR_ANY}, {0}};
    uint64_t started = now();
    int code, fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0
        || fence_kdump_tracker_init(memory, sizeof memory, 64, FENCE_KDUMP_SILENCE, &tracker))
        return perror("port 7410"), 1;
    for (;;) {
        socklen_t size = sizeof from;
        ssize_t len = recvfrom(fd, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &size);
        uint32_t node = 0; /* whose it is: addresses are numbered as on the command line */
        while (node + 1 < (uint32_t)argc && inet_addr(argv[node + 1]) != from.sin_addr.s_addr)
            node++;
        code = len < 0 || node + 1 == (uint32_t)argc ? FENCE_KDUMP_ERROR_STRANGER
            : fence_kdump_tracker_hear(tracker, node, now(), datagram, (size_t)len, FENCE_KDUMP_PLAIN,
                                       FENCE_KDUMP_PLAIN, NULL);
        printf("%s: %s\n", inet_ntoa(from.sin_addr), fence_kdump_error_text(code));
        if (code == 0 && fence_kdump_tracker_verdict(tracker, node, started, now(), NULL) == 0)
            return 0; /* 0: in its crash kernel; everything else: not known */
    }
}
