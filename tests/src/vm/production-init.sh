#!/bin/busybox sh
# /init under the production kernel: loads the crash kernel, then does what the driver says on the console.
say() { echo "<2>vm: $*" >/dev/kmsg; } # by the kernel's log, so that no other line can split it

/bin/busybox mount -t proc proc /proc # the shell finds its other programs through /proc/self/exe
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev

# earlyprintk: without it the crash kernel is mute until its console driver is up.
LD_LIBRARY_PATH=/lib /bin/kexec -p /boot/vmlinuz --initrd=/boot/crash.cpio \
    --command-line="console=ttyS0 earlyprintk=ttyS0,115200 panic=1 irqpoll nr_cpus=1 reset_devices" || say "kexec failed: $?"
say "production kernel is up, crash kernel loaded: $(cat /sys/kernel/kexec_crash_loaded), reserved: $(cat /sys/kernel/kexec_crash_size)"

while read -r word; do
    case $word in
    crash) echo c >/proc/sysrq-trigger ;;
    ping) say "production kernel still runs" ;;
    esac
done </dev/ttyS0
say "the console closed"
while :; do sleep 60; done
