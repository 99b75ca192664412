//! A Debian whose own tools build the crash kernel's image, in a layer upon the root that
//! `tests/vm-root` makes.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::Container;
use crate::Run;

/// Mounts the layer "$2" upon the root "$1" and runs "$5" in it, or makes the disk "$5" of it.
/// The mounts are of this process alone, and gone with it.
const INSIDE: &str = r#"
set -e
mount --make-rprivate /
mount -t overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" none "$4"
if [ "$6" = disk ]; then
    exec mkfs.ext4 -q -F -d "$4" "$5" 1500M
fi
mount -t proc none "$4/proc"
mount -t sysfs none "$4/sys"
mount --rbind /dev "$4/dev"
mount -t tmpfs none "$4/run"
exec chroot "$4" /bin/sh -c "$5" </dev/null
"#;

/// The layer "$2" upon the root "$1" becomes a machine whose systemd is process 1, with a network of its own in which
/// there is nobody else. It is gone with this process.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
mount -t overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" none "$4"
exec systemd-nspawn --quiet --keep-unit --register=no --directory="$4" --private-network \
    --console=pipe --boot systemd.unit=basic.target
"#;

/// A Debian of one test. What it changes is gone with it.
#[derive(Debug)]
pub struct Distribution {
    root: PathBuf,
    layer: TempDir,
}

impl Distribution {
    /// A fresh one.
    ///
    /// # Panics
    /// When the root cannot be made: its script says why.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "making a Debian is no default")]
    pub fn new() -> Self {
        static MADE: OnceLock<PathBuf> = OnceLock::new();
        let root = MADE.get_or_init(|| {
            let root = super::directory().join("root");
            let script = crate::programs::workspace().join("tests/vm-root");
            let status = Command::new(&script).arg(&root).status();
            let status = status.unwrap_or_else(|e| panic!("{}: {e}", script.display()));
            assert!(status.success(), "{}: {status}", script.display());
            root
        });
        let layer = TempDir::new_in(super::directory()).expect("a folder");
        for name in ["upper", "work", "merged"] {
            fs::create_dir(layer.path().join(name)).expect("a folder");
        }
        // It becomes the root of a system, in which others than root look around.
        let open = PermissionsExt::from_mode(0o755);
        fs::set_permissions(layer.path().join("upper"), open).expect("our own folder");
        Self { root: root.clone(), layer }
    }

    /// Writes a file. `path` begins with a slash; `/lib` and `/bin` are below `/usr` there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, path: &str, contents: impl AsRef<[u8]>, mode: u32) {
        let path = self.upper(path);
        let folder = path.parent().expect("a file lies in a folder");
        fs::create_dir_all(folder).expect("a folder of our own");
        fs::write(&path, contents).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("our own file");
    }

    /// Puts a copy of the program or script `from` there.
    ///
    /// # Panics
    /// When it cannot be read or written.
    pub fn program(&self, path: &str, from: &Path) {
        let contents = fs::read(from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        self.file(path, contents, 0o755);
    }

    /// Runs a shell command there, whose output goes to `NAME.log` in [`super::directory`].
    ///
    /// # Panics
    /// When it fails: with the end of what it said.
    pub fn run(&self, name: &str, command: &str) {
        let log = super::directory().join(format!("{name}.log"));
        let output = File::create(&log).expect("a log");
        let status = self
            .inside(command, "run")
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .status()
            .expect("unshare runs");
        let said = fs::read(&log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let end: Vec<&str> = said.lines().rev().take(20).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        assert!(status.success(), "{command}: {status}\n{}", end.join("\n"));
    }

    /// A file that was written there.
    ///
    /// # Panics
    /// When it was not.
    #[must_use]
    pub fn read(&self, path: &str) -> Vec<u8> {
        let path = self.upper(path);
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Makes a disk of it, with the file system on the whole of it.
    ///
    /// # Panics
    /// When there is no room.
    pub fn disk(&self, path: &Path) {
        let status = self.inside(&path.display().to_string(), "disk").status();
        assert!(status.expect("unshare runs").success(), "{}: no disk", path.display());
    }

    /// Starts its systemd as process 1 of a container, on the kernel of this machine.
    ///
    /// # Panics
    /// When it does not get there within a minute.
    #[must_use]
    pub fn boot(&self) -> Container<'_> {
        let layer = |name: &str| self.layer.path().join(name);
        let run = Run::new("unshare").args(["--mount", "--fork", "--kill-child", "sh", "-c", BOOT]);
        let run = run.arg("sh").arg(&self.root);
        Container::of(run.args(["upper", "work", "merged"].map(layer)).spawn())
    }

    /// The kernel it boots, by its version.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn kernel_version(&self) -> String {
        let folder = self.root.join("usr/lib/modules");
        let mut versions = fs::read_dir(&folder).expect("kernels").map(|it| it.expect("a folder"));
        versions.next().expect("a kernel").file_name().to_string_lossy().into_owned()
    }

    /// That kernel.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.kernel_version()))
    }

    /// A file of the root as it was made.
    #[must_use]
    pub fn original(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn upper(&self, path: &str) -> PathBuf {
        self.layer.path().join("upper").join(path.trim_start_matches('/'))
    }

    fn inside(&self, what: &str, how: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "timeout", "600", "sh", "-c"]);
        command.args([INSIDE, "sh"]).arg(&self.root);
        for name in ["upper", "work", "merged"] {
            command.arg(self.layer.path().join(name));
        }
        command.args([what, how]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command
    }
}
