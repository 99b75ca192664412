//! The images that dracut builds.

use super::build::{DRACUT, Kind, SENDER, install, plan};
use fence_kdump_tests::programs;
use fence_kdump_tests::vm::Distribution;

/// The image of `kind`, built by the distribution's own dracut.
pub(crate) fn image(kind: Kind, distribution: &Distribution) -> Vec<u8> {
    let (network, is_ours, is_early) = kind.dracut().expect("dracut builds it");
    let module = |name: &str| format!("{DRACUT}/98vm/{name}");
    let script = include_bytes!("../../src/vm/dracut/module-setup.sh");
    distribution.file(&module("module-setup.sh"), script, 0o755);
    distribution.file(&module("online.sh"), include_bytes!("../../src/vm/dracut/online.sh"), 0o755);
    distribution.file(&module("dump.sh"), include_bytes!("../../src/vm/dracut/dump.sh"), 0o755);
    let unit = include_bytes!("../../src/vm/dracut/vm-dump.service");
    distribution.file(&module("vm-dump.service"), unit, 0o644);
    if is_ours {
        install(distribution);
    } else {
        distribution.program(SENDER, &programs::stock_sender());
    }
    let early = if is_early { "fence-kdump" } else { "" };
    let version = distribution.kernel_version();
    let packed = if kind == Kind::SquashEarly { compress_modules(distribution) } else { "--zstd" };
    // What a host's own crash kernel has, without looking at the host that builds it.
    let command = format!(
        "VM_NETWORK={network} VM_SENDER={SENDER} dracut --force --no-hostonly --no-hostonly-cmdline \
         --no-early-microcode {packed} --drivers 'virtio_net virtio_pci virtio_blk ext4' --modules \
         'systemd systemd-initrd dracut-systemd udev-rules base rootfs-block fs-lib shutdown vm {network} {early}' \
         /crash.img {version}"
    );
    if kind == Kind::DracutEarly {
        distribution.file(
            "/etc/fence_kdump/node.key",
            "of a sender that is started later\n",
            0o600,
        );
    }
    distribution.run(&format!("{}-build", kind.file_name()), &command);
    if kind == Kind::DracutEarly {
        // The plan names no key, and it is there all the same, for root alone.
        let check = "zstd -dcq /crash.img | cpio -itv --quiet | \
             grep -e '^-rw------- .* etc/fence_kdump/node.key$'";
        distribution.run(&format!("{}-key", kind.file_name()), check);
        // Where kdump-utils looks, and not on the host, where it would be an administrator's.
        let check = "zstd -dcq /crash.img | cpio -itv --quiet >/contents; for event in post emergency; do \
             grep -e '^-rwxr-xr-x .* etc/kdump/'$event'.d/00-fence_kdump$' /contents || exit; done; \
             test ! -e /etc/kdump/post.d";
        distribution.run(&format!("{}-failed", kind.file_name()), check);
    }
    distribution.read("/crash.img")
}

/// Compresses the kernel's modules, which Debian's kernel cannot read then: the sender needs a program for it. Gives
/// the options for an image with all of it in a file system of its own, which its first `/init` mounts.
fn compress_modules(distribution: &Distribution) -> &'static str {
    let command = format!(
        "find /usr/lib/modules -name '*.ko' -exec xz -1 --check=crc32 {{}} + && depmod {}",
        distribution.kernel_version()
    );
    distribution.run(&format!("{}-modules", Kind::SquashEarly.file_name()), &command);
    let plan = plan().replace(".ko\n", ".ko.xz\n");
    distribution.file("/etc/fence_kdump/plan", plan, 0o600);
    "--add squash --squash-compressor zstd"
}
