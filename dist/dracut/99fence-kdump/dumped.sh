#!/bin/sh
# In a crash kernel of kdump-utils: says how the dump ended: *failed*, also when it could not even begin, or *written*.
#
# In the image it is a file of /etc/kdump/post.d, which gets the dump's exit status, and of /etc/kdump/emergency.d, which is
# run when nothing could be dumped. It is the first there: what an administrator's own script says comes later, and stands.
#
# *Written* becomes *finished* when systemd ends everything, and not before: that is an end for the receivers, who may cut the
# power then, and kdump.sh has its own log still to write, and the dump its last name only in memory.

root=${FENCE_KDUMP_ROOT:-} # for tests

# Both are run when the dump fails, and the emergency also when a dump that is written is not followed by a reboot.
known=$root/run/fence_kdump.dump
[ ! -e "$known" ] || exit 0
echo "${1:-none}" >"$known"
phase=failed
[ "${1:-}" != 0 ] || phase=written

# The port is that of the plan. Whatever else stands there is understood, and means nothing here.
words=
while read -r word rest; do
    [ "$word" != send ] || words="$words ${rest%%[[:space:]]#*}"
done <"$root/etc/fence_kdump/plan"
set -f
# It returns at once, whoever listens.
# shellcheck disable=SC2086 # words of a command line
"$root/usr/libexec/fence_kdump_send" --phase $phase $words
exit 0
