#!/bin/bash
# dracut module: in a crash kernel, fence_kdump_send speaks before there are udev, systemd and a network.
#
# Install: install -D -m 755 -t /usr/lib/dracut/modules.d/99fence-kdump dist/dracut/99fence-kdump/*.sh
#          install -D -m 755 dist/kdump/into-image /usr/lib/fence_kdump/into-image
#          and fence_kdump_send in place of the stock one: /usr/libexec/fence_kdump_send (RHEL, Fedora),
#          /usr/lib/fence_kdump_send (SUSE), /usr/libexec/fence-agents/fence_kdump_send (Debian)
#
# It works beside kdumpbase of kdump-utils and kdump of SUSE, which start the same sender again later: the one
# that speaks already goes on. kdump.conf has no key for it, and needs none. Any other image of a crash kernel:
# dracut --add fence-kdump. To leave it out: dracut --omit fence-kdump, or 'fence_kdump.off' on the crash
# kernel's command line.

# called by dracut
check() {
    # Everything else would be an image that this host boots from.
    if [[ -z ${IN_KDUMP-} && " $add_dracutmodules $force_add_dracutmodules " != *" kdump "* ]]; then
        return 255
    fi
    [[ -e /etc/fence_kdump/plan ]] || /usr/lib/fence_kdump/into-image --nodes > /dev/null || return 255
    return 0
}

# called by dracut
depends() {
    # It puts /init there.
    echo base
}

# called by dracut
install() {
    # shellcheck disable=SC2154 # dracut's own variables
    /usr/lib/fence_kdump/into-image "$initdir" "$kernel"
    case $? in
        0)
            # kdump-utils runs what is there, with the dump's exit status; nobody else looks.
            # shellcheck disable=SC2154 # dracut's own variable
            for event in post emergency; do
                inst_script "$moddir/dumped.sh" "/etc/kdump/$event.d/00-fence_kdump"
            done
            ;;
        3) dwarn "fence_kdump: nobody is to be told: no fence_kdump_nodes in /etc/kdump.conf, no cluster with fence_kdump" ;;
        # The dump is worth more than a message: the image is built all the same.
        *) derror "fence_kdump: this crash kernel does not speak early" ;;
    esac
    # For the sender that kdump starts when the network is set up, should it be the only one.
    if [[ -e /etc/fence_kdump/node.key ]]; then
        inst_simple /etc/fence_kdump/node.key
    fi
    # A kernel that cannot read compressed modules leaves them to it.
    inst_multiple -o insmod
    return 0
}
