#!/bin/sh
# init of a production kernel with Debian's root: loads the crash kernel as kdump-tools does, then does what the
# driver says on the console.
say() { echo "<2>vm: $*" >/dev/kmsg; } # by the kernel's log, so that no other line can split it

mount -o remount,rw /
kdump-config load >/dev/ttyS0 2>&1 || say "kdump-config: $?"
say "production kernel is up, crash kernel loaded: $(cat /sys/kernel/kexec_crash_loaded), reserved: $(cat /sys/kernel/kexec_crash_size)"
sync
while read -r word; do
    case $word in
    crash) echo c >/proc/sysrq-trigger ;;
    esac
done </dev/ttyS0
say "the console closed"
while :; do sleep 60; done
