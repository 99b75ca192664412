//! What each kind of image is made of, and how.

use super::dracut;
use fence_kdump_tests::Netns;
use fence_kdump_tests::programs;
use fence_kdump_tests::vm::{
    Assets, Distribution, Hardware, Image, Machine, Moment, Sender, directory,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where Debian has the stock sender.
pub(crate) const SENDER: &str = "/usr/libexec/fence-agents/fence_kdump_send";
pub(crate) const DRACUT: &str = "/usr/lib/dracut/modules.d";
/// The crash kernel with a distribution's image needs more.
const MEMORY: u32 = 1024;
const CRASHKERNEL: &str = "256M";

/// Kinds of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Busybox alone, which loads the driver and starts the stock sender.
    Minimal,
    /// The sender, which starts busybox.
    MinimalEarly,
    /// The sender, and nothing else.
    AsInit,
    /// dracut with network-legacy, the stock sender when the network is up.
    DracutStock,
    /// The same with NetworkManager.
    ManagerStock,
    /// Ours in the stock sender's place.
    DracutOurs,
    /// dracut with this project's module; the sender is started again as DracutOurs does.
    DracutEarly,
    /// The same with NetworkManager.
    ManagerEarly,
    /// As RHEL and Fedora have it: squashed, the kernel's modules compressed. Not in the table.
    SquashEarly,
    /// kdump-tools as Debian has it: nobody speaks.
    Debian,
    /// kdump-tools with this project's hook.
    DebianEarly,
    /// kdump-tools with an image as it is, and this project's unit in the real root.
    DebianLate,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Minimal,
        Self::MinimalEarly,
        Self::AsInit,
        Self::DracutStock,
        Self::ManagerStock,
        Self::DracutOurs,
        Self::DracutEarly,
        Self::ManagerEarly,
        Self::Debian,
        Self::DebianEarly,
        Self::DebianLate,
    ];

    /// In the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Minimal => "minimal image, stock sender",
            Self::MinimalEarly => "minimal image, ours early",
            Self::AsInit => "ours is /init, nothing else",
            Self::DracutStock => "dracut, network-legacy, stock sender",
            Self::ManagerStock => "dracut, NetworkManager, stock sender",
            Self::DracutOurs => "dracut, network-legacy, ours in its place",
            Self::DracutEarly => "dracut, network-legacy, ours early",
            Self::ManagerEarly => "dracut, NetworkManager, ours early",
            Self::SquashEarly => "dracut, squashed, ours early",
            Self::Debian => "kdump-tools as it is",
            Self::DebianEarly => "kdump-tools, ours early",
            Self::DebianLate => "kdump-tools, ours as a unit of systemd's",
        }
    }

    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Minimal => "image-minimal",
            Self::MinimalEarly => "image-minimal-early",
            Self::AsInit => "image-as-init",
            Self::DracutStock => "image-dracut-stock",
            Self::ManagerStock => "image-manager-stock",
            Self::DracutOurs => "image-dracut-ours",
            Self::DracutEarly => "image-dracut-early",
            Self::ManagerEarly => "image-manager-early",
            Self::SquashEarly => "image-squash-early",
            Self::Debian => "image-debian",
            Self::DebianEarly => "image-debian-early",
            Self::DebianLate => "image-debian-late",
        }
    }

    /// Whether anybody speaks.
    pub(crate) fn is_told(self) -> bool {
        self != Self::Debian
    }

    /// The address that dracut sets up.
    pub(crate) fn network(self) -> Option<&'static str> {
        self.dracut().map(|_| "10.0.2.15/24")
    }

    /// What the console shows when the dump is there.
    pub(crate) fn dumped(self) -> Option<&'static str> {
        match self {
            Self::Debian | Self::DebianEarly | Self::DebianLate => Some("saved vmcore in"),
            _ => self.dracut().map(|_| "vm: the dump is written"),
        }
    }

    /// dracut's module for the network, whether ours is in the stock sender's place, and whether it is early.
    pub(crate) fn dracut(self) -> Option<(&'static str, bool, bool)> {
        match self {
            Self::DracutStock => Some(("network-legacy", false, false)),
            Self::ManagerStock => Some(("network-manager", false, false)),
            Self::DracutOurs => Some(("network-legacy", true, false)),
            Self::DracutEarly | Self::SquashEarly => Some(("network-legacy", true, true)),
            Self::ManagerEarly => Some(("network-manager", true, true)),
            _ => None,
        }
    }
}

/// A machine in the making.
pub(crate) struct Scene {
    kernel: PathBuf,
    initrd: PathBuf,
    append: &'static str,
    disk: Option<PathBuf>,
    /// Gone with this value.
    _image: Option<Image>,
}

impl Scene {
    pub(crate) fn new(kind: Kind) -> Self {
        let distribution = Distribution::new();
        let assets = Assets::with_kernel_of(&distribution);
        match kind {
            Kind::Minimal => {
                let program = programs::stock_sender();
                let arguments = vec!["-v".to_owned(), "10.0.2.2".to_owned()];
                let sender = Sender { program, arguments, moment: Moment::AfterNetwork };
                let image =
                    Image::build(kind.file_name(), &assets, Some(&sender)).expect("an image");
                Self::of(&assets, image, None)
            }
            Kind::MinimalEarly | Kind::AsInit => {
                let init: &[u8] = include_bytes!("../../src/vm/silent-init.sh");
                let init = (kind == Kind::MinimalEarly).then_some(init);
                let crash = Image::early(&assets, &our_sender(), plan(), init).expect("an image");
                Self::around(kind, &assets, &crash, "", None)
            }
            Kind::Debian | Kind::DebianEarly | Kind::DebianLate => debian(kind, &distribution),
            _ => {
                let crash = dracut::image(kind, &distribution);
                let disk = empty_disk(kind);
                let append = "net.ifnames=0 root=/dev/vda rw rd.neednet=1 \
                    ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:none";
                Self::around(kind, &assets, &crash, append, Some(disk))
            }
        }
    }

    /// The image of [`Kind::MinimalEarly`], for a kernel that has not crashed. The file lives as long as the second
    /// value.
    pub(crate) fn uncrashed() -> (Self, tempfile::TempPath) {
        let distribution = Distribution::new();
        let assets = Assets::with_kernel_of(&distribution);
        let init = include_bytes!("../../src/vm/silent-init.sh");
        let bytes = Image::early(&assets, &our_sender(), plan(), Some(init)).expect("an image");
        let file = tempfile::NamedTempFile::new_in(directory()).expect("a file");
        fs::write(file.path(), bytes).expect("our own file");
        let path = file.into_temp_path();
        let kernel = assets.kernel();
        let scene =
            Self { kernel, initrd: path.to_path_buf(), append: "", disk: None, _image: None };
        (scene, path)
    }

    fn of(assets: &Assets, image: Image, disk: Option<PathBuf>) -> Self {
        let initrd = image.path().to_owned();
        Self { kernel: assets.kernel(), initrd, append: "", disk, _image: Some(image) }
    }

    fn around(
        kind: Kind,
        assets: &Assets,
        crash: &[u8],
        append: &str,
        disk: Option<PathBuf>,
    ) -> Self {
        let image = Image::around(kind.file_name(), assets, Some((crash, append)), &[]);
        Self::of(assets, image.expect("an image"), disk)
    }

    pub(crate) fn hardware(&self) -> Hardware<'_> {
        Hardware {
            kernel: self.kernel.clone(),
            initrd: self.initrd.clone(),
            memory: MEMORY,
            crashkernel: CRASHKERNEL,
            append: self.append,
            disk: self.disk.clone(),
        }
    }

    pub(crate) fn disk(&self) -> Option<&Path> {
        self.disk.as_deref()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(disk) = &self.disk {
            let _ = fs::remove_file(disk);
        }
    }
}

fn our_sender() -> PathBuf {
    programs::ours("fence_kdump_send")
}

/// What bonds and VLANs need, in loading order.
const MORE: [&str; 7] = [
    "net/tls/tls",
    "drivers/net/bonding/bonding",
    "net/llc/llc",
    "net/802/stp",
    "net/802/garp",
    "net/802/mrp",
    "net/8021q/8021q",
];

/// The plans that `fence_kdumpctl` makes in a running machine, one after the other.
pub(crate) fn plans() -> &'static [String; 2] {
    static PLANS: OnceLock<[String; 2]> = OnceLock::new();
    PLANS.get_or_init(|| {
        let distribution = Distribution::new();
        let assets = Assets::with_kernel_of(&distribution);
        let modules = format!("lib/modules/{}", distribution.kernel_version());
        let original = |path: &str| distribution.original(&format!("/usr/{modules}/{path}"));
        let lists = ["dep", "softdep", "alias", "builtin"].map(|name| {
            let name = format!("modules.{name}");
            (original(&name), format!("{modules}/{name}"))
        });
        let more = (10..).zip(MORE).map(|(number, name)| {
            (original(&format!("kernel/{name}.ko")), format!("more/{number}.ko"))
        });
        let ctl = (programs::ours("fence_kdumpctl"), "bin/fence_kdumpctl".to_owned());
        let files: Vec<_> =
            lists.into_iter().chain(more.filter(|(from, _)| from.is_file())).chain([ctl]).collect();
        let image = Image::around("image-plan", &assets, None, &files).expect("an image");
        let scene = Scene::of(&assets, image, None);
        let net = Netns::new();
        let mut machine = Machine::start(&net, "image-plan", &scene.hardware()).expect("qemu starts");
        let _ = machine.wait_for("vm: production kernel is up");
        let simple = told(&mut machine, "-v 10.0.2.2");
        // The card in a bond, a VLAN upon it: the bond has made up an address of its own for both.
        for line in [
            "ip addr flush dev eth0; ip link set eth0 down; echo +bond0 >/sys/class/net/bonding_masters",
            "ip link set bond0 address 02:00:00:00:00:77; echo +eth0 >/sys/class/net/bond0/bonding/slaves",
            "ip link set bond0 up; ip link add link bond0 name bond0.7 type vlan id 7",
            "ip link set bond0.7 up; ip addr add 10.7.0.1/24 dev bond0.7",
            "ip route add 10.9.0.0/16 via 10.7.0.254",
        ] {
            machine.tell(&format!("run {line}"));
        }
        let bonded = told(&mut machine, "10.9.0.2");
        [simple, bonded]
    })
}

/// One plan, which is made without a complaint.
fn told(machine: &mut Machine, words: &str) -> String {
    machine.tell(&format!("plan {words}"));
    let (_, exit) = machine.wait_for("vm: plan: exit");
    let mut plan = String::new();
    loop {
        let (_, line) = machine.wait_for("vm");
        if line.contains("vm: plan: end") {
            break;
        }
        assert!(!line.contains("vm-complaint: "), "{line}");
        if let Some((_, line)) = line.split_once("vm-plan: ") {
            plan.push_str(line);
            plan.push('\n');
        }
    }
    assert!(exit.contains("exit 0"), "{exit}");
    plan
}

/// The plan for the machine as it is.
pub(crate) fn plan() -> &'static str {
    let [simple, _] = plans();
    simple
}

/// Puts what this project installs for images into `distribution`, as its headers say.
pub(crate) fn install(distribution: &Distribution) {
    let dist = programs::workspace().join("dist");
    distribution.program(SENDER, &our_sender());
    distribution.program("/usr/lib/fence_kdump/into-image", &dist.join("kdump/into-image"));
    for module in ["99fence-kdump/module-setup.sh", "99fence-kdump/dumped.sh"] {
        distribution.program(&format!("{DRACUT}/{module}"), &dist.join("dracut").join(module));
    }
    distribution.program(
        "/usr/share/initramfs-tools/hooks/fence_kdump",
        &dist.join("initramfs-tools/hooks/fence_kdump"),
    );
    let conf = fs::read(dist.join("initramfs-tools/conf.d/fence_kdump")).expect("our own file");
    distribution.file("/etc/initramfs-tools/conf.d/fence_kdump", conf, 0o644);
    // Of another machine, which is why it stands where a plan written by hand does.
    distribution.file("/etc/fence_kdump/plan", plan(), 0o600);
}

/// A disk with a file system in which there is nothing but where the dump goes.
fn empty_disk(kind: Kind) -> PathBuf {
    let path = directory().join(format!("{}.disk", kind.file_name()));
    let _ = fs::remove_file(&path);
    let status = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&path).arg("256M").status();
    assert!(status.expect("mkfs.ext4 runs").success(), "a file system");
    path
}

/// Debian on a disk, with its kdump-tools set up.
fn debian(kind: Kind, distribution: &Distribution) -> Scene {
    if kind == Kind::DebianEarly {
        install(distribution);
    }
    let version = distribution.kernel_version();
    distribution.file("/vm-init", include_bytes!("../../src/vm/debian-init.sh"), 0o755);
    distribution.file("/etc/fstab", "/dev/vda / ext4 errors=remount-ro 0 1\n", 0o644);
    distribution.file("/etc/hostname", "node1\n", 0o644);
    // Nothing that the machine has needs it, and the crash kernel would wait for it.
    distribution.file("/etc/systemd/system/NetworkManager.service", "", 0o644);
    let defaults = "USE_KDUMP=1\nKDUMP_KERNEL=/var/lib/kdump/vmlinuz\n\
        KDUMP_INITRD=/var/lib/kdump/initrd.img\nKDUMP_COREDIR=/var/crash\n\
        KDUMP_CMDLINE='root=/dev/vda rw console=ttyS0 earlyprintk=ttyS0,115200 net.ifnames=0 panic=1'\n";
    distribution.file("/etc/default/kdump-tools", defaults, 0o644);
    // Otherwise kdump-config takes the image for one with other settings, and builds it anew in the machine.
    let build = format!(
        "/etc/kernel/postinst.d/kdump-tools {version} && kdump-config symlinks {version} && \
         cp /etc/kdump/sysctl.conf /var/lib/kdump/latest_sysctls-{version}"
    );
    distribution.run(&format!("{}-build", kind.file_name()), &build);
    if kind == Kind::DebianLate {
        let unit = programs::workspace().join("dist/systemd/fence_kdump_send.service");
        let unit = fs::read(unit).expect("our own file");
        distribution.file("/usr/lib/systemd/system/fence_kdump_send.service", unit, 0o644);
        distribution.program(SENDER, &our_sender());
        // Where the image's own tools leave it.
        distribution.file("/var/lib/fence_kdump_send/plan", plan(), 0o600);
        let enable = "systemctl enable fence_kdump_send.service";
        distribution.run(&format!("{}-enable", kind.file_name()), enable);
    }
    if kind == Kind::DebianEarly {
        // The node's key may be in it.
        let check = format!("test $(stat -c %a /var/lib/kdump/initrd.img-{version}) = 600");
        distribution.run(&format!("{}-mode", kind.file_name()), &check);
    }
    let disk = directory().join(format!("{}.disk", kind.file_name()));
    let _ = fs::remove_file(&disk);
    distribution.disk(&disk);
    Scene {
        kernel: distribution.kernel(),
        initrd: distribution.original(&format!("/boot/initrd.img-{version}")),
        append: "root=/dev/vda rw net.ifnames=0 init=/vm-init",
        disk: Some(disk),
        _image: None,
    }
}
