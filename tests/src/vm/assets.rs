use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the machine runs, fetched by the script `tests/vm-assets`.
#[derive(Debug, Clone)]
pub struct Assets {
    root: PathBuf,
    /// Another kernel than the one there, with the drivers of the network card.
    other: Option<(PathBuf, Vec<PathBuf>)>,
}

/// The drivers of the network card in a kernel whose modules are not of the assets, in loading order.
const DRIVERS: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
];

impl Assets {
    /// The assets below [`super::directory`], fetched first when they are not there yet.
    ///
    /// Waits while another process that called this still runs, since both would leave their
    /// images and logs in the same place.
    ///
    /// # Panics
    /// When the script fails: its own message says what is missing.
    #[must_use]
    pub fn get() -> Self {
        static FETCHED: OnceLock<(PathBuf, File)> = OnceLock::new();
        let (root, _lock) = FETCHED.get_or_init(|| {
            let lock = super::directory().join("lock");
            let lock = File::create(&lock)
                .and_then(|file| file.lock().map(|()| file))
                .unwrap_or_else(|e| panic!("{}: cannot be locked: {e}", lock.display()));
            let root = super::directory().join("assets");
            let script = crate::programs::workspace().join("tests/vm-assets");
            let status = Command::new(&script)
                .arg(&root)
                .status()
                .unwrap_or_else(|e| panic!("{}: cannot be run: {e}", script.display()));
            assert!(status.success(), "{}: {status}", script.display());
            (root, lock)
        });
        Self { root: root.clone(), other: None }
    }

    /// The same with the kernel of `distribution`, so that all of a comparison run the same one.
    ///
    /// # Panics
    /// When a driver is missing there.
    #[must_use]
    pub fn with_kernel_of(distribution: &super::Distribution) -> Self {
        let folder = format!("/usr/lib/modules/{}/kernel", distribution.kernel_version());
        let folder = distribution.original(&folder);
        let found = |name: &&str| {
            ["drivers/virtio", "drivers/net", "net/core"]
                .map(|part| folder.join(part).join(format!("{name}.ko")))
                .into_iter()
                .find(|path| path.is_file())
                .unwrap_or_else(|| panic!("{name}: no such module in {}", folder.display()))
        };
        let modules = DRIVERS.iter().map(found).collect();
        Self { other: Some((distribution.kernel(), modules)), ..Self::get() }
    }

    /// The kernel, for production and crash alike.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        match &self.other {
            Some((kernel, _)) => kernel.clone(),
            None => self.root.join("vmlinuz"),
        }
    }

    /// The static busybox.
    #[must_use]
    pub fn busybox(&self) -> PathBuf {
        self.root.join("busybox")
    }

    /// The loader of the crash kernel; its libraries are looked for in [`Self::libraries`] first.
    #[must_use]
    pub fn kexec(&self) -> PathBuf {
        self.root.join("kexec")
    }

    /// The directory of the libraries that came with kexec.
    #[must_use]
    pub fn libraries(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// The drivers of the network card, in loading order.
    ///
    /// # Panics
    /// When the directory cannot be read.
    #[must_use]
    pub fn modules(&self) -> Vec<PathBuf> {
        if let Some((_, modules)) = &self.other {
            return modules.clone();
        }
        let mut modules = files_of(&self.root.join("modules"));
        modules.sort();
        modules
    }

    /// Name and version of the kernel's package.
    #[must_use]
    pub fn kernel_version(&self) -> String {
        std::fs::read_to_string(self.root.join("versions"))
            .unwrap_or_default()
            .lines()
            .find(|line| line.starts_with("linux-image"))
            .unwrap_or("a kernel of unknown version")
            .to_owned()
    }
}

fn files_of(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory)
        .unwrap_or_else(|e| panic!("{}: cannot be read: {e}", directory.display()))
        .map(|entry| entry.expect("a directory entry").path())
        .collect()
}
