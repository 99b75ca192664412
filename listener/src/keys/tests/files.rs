//! Whose a file is, and how it is written.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::super::write::{self, WriteError};
use super::super::{Fault, KeyFileError, LARGEST, Ring};
use super::{cluster, key};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.key");
    (folder, path)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[track_caller]
fn refused(path: &Path) -> KeyFileError {
    let start = Instant::now();
    let error = Ring::load(path).expect_err("must be refused");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
    error
}

#[test]
fn a_file_that_others_can_reach_is_refused() {
    let (_folder, path) = folder();
    write::create(&path, cluster(1).as_bytes()).unwrap();
    for mode in [0o600, 0o400, 0o700] {
        set_mode(&path, mode);
        assert_eq!(Ring::load(&path).unwrap().current().unwrap().id, key(1).id());
    }
    for bit in 0..6 {
        set_mode(&path, 0o600 | 1 << bit);
        let error = refused(&path);
        assert!(matches!(error.fault, Fault::Exposed(_)), "{error}");
        assert!(error.to_string().contains("'chmod 600'"), "{error}");
    }
}

#[test]
fn a_file_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can give files away. What others can read of root's, they must not be able to.
        assert!(matches!(
            Ring::load(Path::new("/etc/passwd")).unwrap_err().fault,
            Fault::Exposed(_)
        ));
        return;
    }
    let (_folder, path) = folder();
    write::create(&path, cluster(1).as_bytes()).unwrap();
    chown(&path, Some(4711), None).unwrap();
    let error = refused(&path);
    assert!(error.to_string().contains("belongs to user 4711, neither root nor user 0"), "{error}");
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let (folder, path) = folder();
    assert!(matches!(refused(&path).fault, Fault::Missing));
    assert!(matches!(refused(folder.path()).fault, Fault::NotAFile));
    assert!(matches!(refused(Path::new("/dev/null")).fault, Fault::NotAFile));
    assert!(matches!(refused(Path::new("/dev/zero")).fault, Fault::NotAFile));
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    assert!(matches!(refused(&pipe).fault, Fault::NotAFile));
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(matches!(refused(&socket).fault, Fault::Unreadable(_)));
    let knot = folder.path().join("knot");
    symlink(&knot, &knot).unwrap();
    assert!(matches!(refused(&knot).fault, Fault::Unreadable(_)));
}

/// A link may stand for the file; what counts is what it leads to.
#[test]
fn a_link_is_followed_to_the_file_that_counts() {
    let (folder, path) = folder();
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    write::create(&path, cluster(1).as_bytes()).unwrap();
    assert!(Ring::load(&link).is_ok());
    set_mode(&path, 0o644);
    assert!(matches!(refused(&link).fault, Fault::Exposed(_)));
}

#[test]
fn a_large_file_is_refused_unread() {
    let (_folder, path) = folder();
    write::create(&path, cluster(1).as_bytes()).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(LARGEST).unwrap();
    assert!(matches!(refused(&path).fault, Fault::NotText), "zeros");
    file.set_len(LARGEST + 1).unwrap();
    assert!(matches!(refused(&path).fault, Fault::TooLarge(size) if size == LARGEST + 1));
    file.set_len(1 << 40).unwrap();
    assert!(matches!(refused(&path).fault, Fault::TooLarge(_)));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    let (_folder, path) = folder();
    let text = cluster(1);
    for other in [String::new(), text[1..].to_owned(), format!("{text}#"), text.repeat(40)] {
        write::create(&path, text.as_bytes()).unwrap();
        let (mut file, found) = super::super::file::open(&path).unwrap();
        fs::write(&path, other).unwrap();
        let fault = super::super::file::read_from(&mut file, &found).expect_err("it has changed");
        assert!(matches!(fault, Fault::Changed), "{fault}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_new_file_takes_no_other_ones_place() {
    let (folder, path) = folder();
    write::create(&path, b"first").unwrap();
    assert_eq!(mode(&path), 0o600);
    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    for there in [&path, &dangling, &folder.path().to_owned()] {
        let error = write::create(there, b"second").expect_err("it is there");
        assert!(matches!(error, WriteError::Exists(_)), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert!(!folder.path().join("nowhere").exists());
    let error = write::create(&folder.path().join("a/b"), b"").expect_err("no such folder");
    assert!(matches!(error, WriteError::Refused { .. }), "{error}");
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is left behind: {names:?}");
}

#[test]
fn of_many_who_make_a_file_at_once_one_does() {
    let (_folder, path) = folder();
    let made: Vec<bool> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8_u8)
            .map(|number| {
                let path = &path;
                scope.spawn(move || write::create(path, &[number; 1000]).is_ok())
            })
            .collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    let winner = u8::try_from(made.iter().position(|made| *made).unwrap()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [winner; 1000]);
}

#[test]
fn a_replaced_file_is_the_old_one_or_the_new_one() {
    let (folder, path) = folder();
    write::create(&path, &[b'a'; 1000]).unwrap();
    let (done, path_read) = (std::sync::atomic::AtomicBool::new(false), path.clone());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let text = fs::read(&path_read).unwrap();
                assert_eq!(text.len(), 1000);
                assert!(text.iter().all(|byte| *byte == text[0]));
                reads += 1;
            }
            reads
        });
        for round in 0..50 {
            write::replace(&path, &[b'a' + round % 26; 1000]).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    assert_eq!(mode(&path), 0o600);
    // Through a link, the file is replaced and not the link; whose it was, its it stays.
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(&path, Some(4711), Some(4712)).unwrap();
    }
    let before = fs::metadata(&path).unwrap();
    write::replace(&link, b"new").unwrap();
    let after = fs::metadata(&path).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!((before.uid(), before.gid()), (after.uid(), after.gid()));
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert!(write::replace(&folder.path().join("nothing"), b"").is_err(), "nothing to replace");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_directory_for_keys_is_its_owners_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/cluster.key");
    write::make_directory(&path).unwrap();
    assert_eq!(
        mode(&folder.path().join("keys")),
        0o755,
        "the daemon's user finds its configuration"
    );
    write::make_directory(&path).unwrap();
    assert!(write::make_directory(&folder.path().join("a/b/c")).is_err());
}

#[test]
fn what_a_killed_process_has_left_behind_goes() {
    let (folder, path) = folder();
    let place = |name: &str| folder.path().join(name);
    let old = std::time::SystemTime::now() - Duration::from_secs(61);
    for (name, is_old) in [
        (".fence_kdump-0123456789abcdef", true),
        (".fence_kdump-0123456789abcdee", false),
        (".fence_kdump-0123456789abcdeg", true),
        (".fence_kdump-0123456789abcde", true),
        ("fence_kdump-0123456789abcdef", true),
    ] {
        let file = File::create(place(name)).unwrap();
        if is_old {
            file.set_modified(old).unwrap();
        }
    }
    write::create(&path, b"new").unwrap();
    assert!(!place(".fence_kdump-0123456789abcdef").exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "everything else stays");
}
