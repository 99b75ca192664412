#!/bin/busybox sh
# /init under the crash kernel where somebody else speaks: shows that it is what the kernel would have started.
/bin/busybox mount -t proc proc /proc # the shell finds its other programs through /proc/self/exe
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
echo "<2>vm: init is process $$, called $0, with $(ls -d /proc/[0-9]* | wc -l) processes and $(cat /proc/mounts | wc -l) mounts" >/dev/kmsg
sleep 10
echo "<2>vm: ten seconds later$([ -e /proc/vmcore ] && echo ", with a vmcore")" >/dev/kmsg
while :; do sleep 60; done
