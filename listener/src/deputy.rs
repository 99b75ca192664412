//! Whom root has put in charge of a directory, and how root acts in that user's place.
//!
//! The daemon runs as a user of its own, the agents of a cluster as root. They share two things: the name at
//! which the daemon is found, and the replay memory. Root must not believe whoever comes first, and must not
//! touch the files of another user with root's powers: who owns a directory can make root follow where it
//! leads (an SQLite journal, for one, can name any file to be deleted).
//!
//! The rule for both: a directory that only root can have put where it is, and that only its owner can write to, was
//! given to its owner by root. systemd makes such directories (`RuntimeDirectory=`, `StateDirectory=`), and
//! so does `install -d -o USER`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{Gid, Uid, geteuid, setfsgid, setfsuid};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::custody;

/// Where the daemon that is in charge of this host's port has its directory.
pub const RUN_DIR: &str = "/run/fence_kdump";

/// The user to whom root has given `dir`, and the group; `None` when there is no such directory, or others
/// may have made it or can write to it.
#[must_use]
pub fn of(dir: &Path) -> Option<(u32, u32)> {
    // Where systemd has only left a link at the well-known name.
    let dir = fs::canonicalize(dir).ok()?;
    let found = fs::metadata(&dir).ok()?;
    let is_given = found.is_dir() && found.mode() & custody::WRITE == 0;
    let is_roots = |above: &Path| {
        fs::metadata(above)
            .is_ok_and(|found| found.uid() == 0 && found.mode() & custody::WRITE == 0)
    };
    let is_given = is_given && dir.ancestors().skip(1).all(is_roots);
    is_given.then(|| (found.uid(), found.gid()))
}

/// Whether a process of user `uid` may be believed to hold the port for this host: root and this process itself, who
/// could do anything to it anyway, and the user to whom root has given [`RUN_DIR`].
#[must_use]
pub fn is_trusted(uid: u32) -> bool {
    uid == 0
        || uid == geteuid().as_raw()
        || of(Path::new(RUN_DIR)).is_some_and(|(user, _)| user == uid)
}

/// From now on, this thread (and no other) does with files only what the owner of `dir` may do, if that is not root and
/// this process is; it still finds the way to them. Whether it is so.
///
/// # Errors
/// When it cannot be done: then nothing is to be touched in `dir`.
pub fn act_in(dir: &Path) -> io::Result<bool> {
    if !geteuid().is_root() {
        return Ok(false);
    }
    let Some((user, group)) = of(dir).filter(|(user, _)| *user != 0) else {
        return Ok(false);
    };
    let before = capabilities(None)?;
    // Neither tells whether it worked; the second call does.
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    let _ = setfsgid(group);
    let _ = setfsuid(user);
    if setfsuid(user) != user || setfsgid(group) != group {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // With root's user went root's way past permissions. Without that of reading, systemd's private directories
    // (`/var/lib/private`) cannot even be passed through.
    let mut now = capabilities(None)?;
    now.effective |= before.effective & CapabilitySet::DAC_READ_SEARCH;
    set_capabilities(None, now)?;
    Ok(true)
}

/// The user in whose place this thread does with files what it does, since [`act_in`]; `None`: in its own.
#[must_use]
pub fn acting_for() -> Option<u32> {
    // There is no such user: nothing changes, and the present one is told.
    let present = setfsuid(Uid::from_raw(u32::MAX));
    (present != geteuid()).then_some(present.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::path::PathBuf;
    use std::thread;

    const USER: u32 = 61_234;

    /// Below `/run`, where only root can make anything. `None` for others than root.
    struct Given(PathBuf);

    impl Given {
        fn new(name: &str) -> Option<Self> {
            if !geteuid().is_root() {
                eprintln!("SKIPPED: only root can give a directory away");
                return None;
            }
            let given = Self(PathBuf::from(format!("/run/{name}-{}", std::process::id())));
            fs::create_dir(&given.0).unwrap();
            given.is_for(&given.0, 0o700, 0);
            let inner = given.inner();
            fs::create_dir(&inner).unwrap();
            given.is_for(&inner, 0o700, USER);
            Some(given)
        }

        fn is_for(&self, path: &Path, mode: u32, user: u32) {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            chown(path, Some(user), Some(user)).unwrap();
        }

        fn inner(&self) -> PathBuf {
            self.0.join("inner")
        }
    }

    impl Drop for Given {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn what_only_root_can_have_made_is_given_by_root() {
        let Some(given) = Given::new("fence_kdump-deputy") else { return };
        let inner = given.inner();
        assert_eq!(of(&inner), Some((USER, USER)));
        given.is_for(&inner, 0o720, USER);
        assert_eq!(of(&inner), None, "its group can write to it");
        given.is_for(&inner, 0o755, USER);
        given.is_for(&given.0, 0o777, 0);
        assert_eq!(of(&inner), None, "anybody can have made it");
        given.is_for(&given.0, 0o755, USER);
        assert_eq!(of(&inner), None, "the user can have made it");
        assert_eq!(of(&given.0.join("none")), None);
        assert_eq!(of(tempfile::tempdir().unwrap().path()), None, "in /tmp");
    }

    #[test]
    fn root_in_the_place_of_the_owner_can_do_no_more_than_the_owner() {
        let Some(given) = Given::new("fence_kdump-guise") else { return };
        let inner = given.inner();
        let of_root = given.0.join("of_root");
        fs::write(&of_root, "root's").unwrap();
        fs::set_permissions(&of_root, Permissions::from_mode(0o600)).unwrap();
        let result = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                assert_eq!(acting_for(), None);
                assert!(act_in(&inner).unwrap());
                assert_eq!(acting_for(), Some(USER));
                let database = rusqlite::Connection::open(inner.join("db")).unwrap();
                database.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
                (fs::remove_file(&of_root), File::create(given.0.join("new")), fs::read(&of_root))
            });
            thread.join().unwrap()
        });
        let (removed, made, read) = result;
        assert_eq!(removed.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(made.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(read.is_ok(), "to pass through directories is to read");
        assert_eq!(fs::metadata(inner.join("db")).unwrap().uid(), USER);
        fs::remove_file(&of_root).expect("other threads are as before");
    }

    #[test]
    fn strangers_are_not_trusted() {
        assert!(is_trusted(0) && is_trusted(geteuid().as_raw()));
        assert!(!is_trusted(USER));
    }
}
