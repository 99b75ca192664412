use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::assets::Assets;
use super::cpio::Archive;

/// The sender in the crash kernel's image: a program of this host and its arguments.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The program; the libraries it needs are copied with it.
    pub program: PathBuf,
    /// Its arguments. The host is 10.0.2.2 inside the machine.
    pub arguments: Vec<String>,
    /// When it is started.
    pub moment: Moment,
}

/// When the crash kernel's `/init` starts the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the driver of the network card is loaded.
    BeforeNetwork,
    /// When the network card has its address.
    AfterNetwork,
}

/// The initramfs of a production kernel that carries its crash kernel and that one's initramfs.
/// The file is removed on drop.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    sender_bytes: usize,
}

impl Image {
    /// Builds the image `name`. Without a sender the crash kernel boots all the same, and is silent.
    ///
    /// # Errors
    /// When a file cannot be read or written, or `ldd` finds a library missing.
    pub fn build(name: &str, assets: &Assets, sender: Option<&Sender>) -> io::Result<Self> {
        let mut production = Archive::default();
        production.file("init", include_bytes!("production-init.sh"));
        production.copy("bin/busybox", &assets.busybox())?;
        production.copy("bin/kexec", &assets.kexec())?;
        add_libraries(&mut production, &assets.kexec(), &assets.libraries())?;
        production.copy("boot/vmlinuz", &assets.kernel())?;
        let (crash, sender_bytes) = crash_image(assets, sender)?;
        production.file("boot/crash.cpio", &crash);
        let path = super::directory().join(format!("{name}.cpio"));
        std::fs::write(&path, with_mount_points(production).finish())?;
        Ok(Self { path, sender_bytes })
    }

    /// Builds the image `name` of a production kernel that loads `crash` with `append` on its command line. Its
    /// own network is up, and it can make plans with `ctl`, for which it has `files` (from, to).
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn around(
        name: &str,
        assets: &Assets,
        crash: Option<(&[u8], &str)>,
        files: &[(PathBuf, String)],
    ) -> io::Result<Self> {
        let mut production = Archive::default();
        production.file("init", include_bytes!("production-any.sh"));
        production.copy("bin/busybox", &assets.busybox())?;
        production.copy("bin/kexec", &assets.kexec())?;
        add_libraries(&mut production, &assets.kexec(), &assets.libraries())?;
        add_modules(&mut production, assets)?;
        production.copy("boot/vmlinuz", &assets.kernel())?;
        if let Some((image, append)) = crash {
            production.file("boot/crash.img", image);
            production.file("boot/append", append.as_bytes());
        }
        for (from, to) in files {
            production.copy(to, from)?;
            add_libraries(&mut production, from, Path::new(""))?;
        }
        let path = super::directory().join(format!("{name}.cpio"));
        std::fs::write(&path, with_mount_points(production).finish())?;
        Ok(Self { path, sender_bytes: 0 })
    }

    /// An image in which `sender` is all: it is `/init` itself, or starts the `init` given.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn early(
        assets: &Assets,
        sender: &Path,
        plan: &str,
        init: Option<&[u8]>,
    ) -> io::Result<Vec<u8>> {
        let mut crash = Archive::default();
        crash.copy("init", sender)?;
        crash.file("etc/fence_kdump/plan", plan.as_bytes());
        for path in plan.lines().filter_map(|line| line.strip_prefix("module ")) {
            let name = Path::new(path).file_name();
            let module = assets.modules().into_iter().find(|it| it.file_name() == name);
            let missing = || io::Error::other(format!("{path}: not among the modules"));
            crash.copy(path.trim_start_matches('/'), &module.ok_or_else(missing)?)?;
        }
        if let Some(init) = init {
            crash.copy("bin/busybox", &assets.busybox())?;
            crash.file("init.real", init);
        }
        Ok(with_mount_points(crash).finish())
    }

    /// What the sender and the libraries it needs add to the crash kernel's image.
    #[must_use]
    pub fn sender_bytes(&self) -> usize {
        self.sender_bytes
    }

    /// Where the image is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The crash kernel's initramfs, and how much of it is the sender's.
fn crash_image(assets: &Assets, sender: Option<&Sender>) -> io::Result<(Vec<u8>, usize)> {
    let mut crash = Archive::default();
    crash.file("init", include_bytes!("crash-init.sh"));
    crash.copy("bin/busybox", &assets.busybox())?;
    add_modules(&mut crash, assets)?;
    let moment = match sender.map(|sender| sender.moment) {
        None => "never",
        Some(Moment::BeforeNetwork) => "before-network",
        Some(Moment::AfterNetwork) => "after-network",
    };
    crash.file("moment", moment.as_bytes());
    let before = crash.contents();
    if let Some(sender) = sender {
        crash.copy("bin/fence_kdump_send", &sender.program)?;
        add_libraries(&mut crash, &sender.program, Path::new(""))?;
    }
    let sender_bytes = crash.contents() - before;
    if let Some(sender) = sender {
        let command = sender.arguments.join(" ");
        crash.file("sender", format!("exec /bin/fence_kdump_send {command}\n").as_bytes());
    }
    Ok((with_mount_points(crash).finish(), sender_bytes))
}

/// The drivers of the network card, by names that sort as they are loaded.
fn add_modules(archive: &mut Archive, assets: &Assets) -> io::Result<()> {
    for (number, module) in (10..).zip(assets.modules()) {
        let name = module.file_name().expect("a file has a name").to_string_lossy();
        archive.copy(&format!("modules/{number}-{name}"), &module)?;
    }
    Ok(())
}

fn with_mount_points(mut archive: Archive) -> Archive {
    for path in ["proc", "sys", "dev"] {
        archive.directory(path);
    }
    archive
}

/// Copies what the dynamic linker would load for `program`: nothing, when it is static.
fn add_libraries(archive: &mut Archive, program: &Path, first: &Path) -> io::Result<()> {
    let out = Command::new("ldd").arg(program).env("LD_LIBRARY_PATH", first).output()?;
    let listing = String::from_utf8_lossy(&out.stdout);
    if !out.status.success() {
        let complaint = String::from_utf8_lossy(&out.stderr);
        if complaint.contains("not a dynamic executable") || complaint.is_empty() {
            return Ok(());
        }
        return Err(io::Error::other(format!("ldd {}: {complaint}", program.display())));
    }
    for line in listing.lines() {
        if line.contains("not found") {
            return Err(io::Error::other(format!("{}: {}", program.display(), line.trim())));
        }
        // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`
        let mut words = line.split_whitespace();
        let (Some(name), second) = (words.next(), words.next()) else {
            continue;
        };
        match (name.strip_prefix('/'), second, words.next()) {
            (Some(interpreter), ..) => archive.copy(interpreter, Path::new(name))?,
            (None, Some("=>"), Some(path)) => {
                archive.copy(&format!("lib/{name}"), Path::new(path))?;
            }
            _ => {}
        }
    }
    Ok(())
}
