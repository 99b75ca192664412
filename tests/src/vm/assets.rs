use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the machine runs, fetched by the script `tests/vm-assets`.
#[derive(Debug, Clone)]
pub struct Assets {
    root: PathBuf,
}

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
        Self { root: root.clone() }
    }

    /// The kernel, for production and crash alike.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.root.join("vmlinuz")
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
