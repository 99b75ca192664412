#!/bin/bash
# dracut module of the crash test: what kdump-utils does with the network that dracut sets up, then the dump.
# VM_NETWORK: the module that sets it up. VM_SENDER: who speaks as soon as it is there.

check() { return 255; }

depends() { echo "network $VM_NETWORK"; }

install() {
    inst_multiple makedumpfile mkdir sync reboot ip
    inst_script "$moddir/dump.sh" /bin/vm-dump
    inst_simple "$moddir/vm-dump.service" "$systemdsystemunitdir/vm-dump.service"
    $SYSTEMCTL -q --root "$initdir" add-wants initrd.target vm-dump.service
    inst_hook initqueue/online 10 "$moddir/online.sh"
    if [[ $VM_SENDER ]]; then
        inst "$VM_SENDER"
        echo "$VM_SENDER" > "$initdir/vm-sender"
    fi
}
