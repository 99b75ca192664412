#!/bin/busybox sh
# /init under the crash kernel: brings the network up and starts the sender, if this image has one.
/bin/busybox mount -t proc proc /proc # the shell finds its other programs through /proc/self/exe
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev

say() { echo "<2>vm: $*" >/dev/kmsg; } # by the kernel's log, so that no other line can split it

network() {
    for module in /modules/*.ko; do
        insmod "$module"
    done
    ip link set lo up
    ip addr add 10.0.2.15/24 dev eth0
    ip link set eth0 up
    ip route add default via 10.0.2.2
}

start() {
    (
        say "sender starts"
        exec /bin/busybox sh /sender
    ) &
    sender=$!
}

say "crash /init, $([ -e /proc/vmcore ] && echo with || echo without) the memory of the crashed kernel"
case $(cat /moment) in
before-network)
    start
    sleep 0.1
    network
    ;;
after-network)
    network
    start
    ;;
never)
    network
    say "no sender in this image"
    ;;
esac

if [ -n "$sender" ]; then
    sleep 0.5
    say "memory: Rss $(sed -n 's/^Rss: *//p' /proc/$sender/smaps_rollup), available $(sed -n 's/^MemAvailable: *//p' /proc/meminfo) of $(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
    wait $sender
    say "the sender ended: $?"
fi
# What process 1 becomes under systemd, when everything ends.
[ -x /systemd-shutdown ] && exec /systemd-shutdown
while :; do sleep 60; done
