#!/bin/sh
# Writes the dump to the root file system, then resets the machine.
say() { echo "<2>vm: $*" >/dev/kmsg; }
mkdir -p /sysroot/var/crash
if makedumpfile -c -d 31 /proc/vmcore /sysroot/var/crash/dump >/dev/console 2>&1; then
    say "the dump is written"
else
    say "no dump: makedumpfile: $?"
fi
sync
reboot -f
