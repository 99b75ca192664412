#!/bin/busybox sh
# /init under the production kernel of a machine whose crash kernel's image is given: loads it, then does what the
# driver says on the console.
say() { echo "<2>vm: $*" >/dev/kmsg; } # by the kernel's log, so that no other line can split it

/bin/busybox mount -t proc proc /proc # the shell finds its other programs through /proc/self/exe
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko /more/*.ko; do
    [ -e "$module" ] || continue
    insmod "$module"
done
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2

# earlyprintk: without it the crash kernel is mute until its console driver is up.
if [ -e /boot/crash.img ]; then
    LD_LIBRARY_PATH=/lib /bin/kexec -p /boot/vmlinuz --initrd=/boot/crash.img \
        --command-line="console=ttyS0 earlyprintk=ttyS0,115200 panic=1 irqpoll nr_cpus=1 reset_devices $(cat /boot/append)" ||
        say "kexec failed: $?"
fi
say "production kernel is up, crash kernel loaded: $(cat /sys/kernel/kexec_crash_loaded), reserved: $(cat /sys/kernel/kexec_crash_size)"

while read -r word rest; do
    case $word in
    crash) echo c >/proc/sysrq-trigger ;;
    run) eval "$rest" || say "$rest: $?" ;;
    plan)
        # shellcheck disable=SC2086 # words of a command line
        LD_LIBRARY_PATH=/lib /bin/fence_kdumpctl plan $rest >/plan 2>/complaints
        say "plan: exit $?"
        sed 's/^/vm-plan: /' /plan
        sed 's/^/vm-complaint: /' /complaints
        say "plan: end"
        ;;
    esac
done </dev/ttyS0 >/dev/ttyS0
say "the console closed"
while :; do sleep 60; done
