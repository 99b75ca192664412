#!/bin/sh
# Runs when an interface is up.
echo "<2>vm: network is up: $(ip -4 -o addr show dev eth0 | sed 's/.*inet \([^ ]*\).*/\1/')" >/dev/kmsg
if [ -e /vm-sender ]; then
    "$(cat /vm-sender)" -v 10.0.2.2 >/dev/console 2>&1 &
fi
