//! Disks that are full, read-only, or taken away; files that are damaged.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::*;

async fn trouble(history: &mut History) -> String {
    match next(history).await {
        News::Trouble(trouble) => trouble.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn again(history: &mut History) -> u64 {
    match next(history).await {
        News::Again { lost, .. } => lost,
        other => panic!("{other:?}"),
    }
}

fn everything(dir: &Path) -> Vec<Entry> {
    Reader::open(dir).unwrap().events(&page(u32::MAX)).unwrap()
}

#[tokio::test]
async fn a_file_that_is_deleted_while_open_is_begun_anew() {
    for part in ["", "-wal"] {
        let dir = tempfile::tempdir().unwrap();
        let mut history = start(dir.path());
        opened(&mut history).await;
        let mut reader = history.opener().open().unwrap();
        let number = history.tell(event(1, "n1", Kind::Started, "s1").into(), heard(1));
        flushed(&history, number).await;
        fs::remove_file(dir.path().join(format!("{NAME}{part}"))).unwrap();
        let number = history.tell(event(2, "n2", Kind::Started, "s2").into(), heard(2));
        assert!(trouble(&mut history).await.contains("deleted or replaced while in use"));
        assert_eq!(again(&mut history).await, 0);
        flushed(&history, number).await;
        assert_eq!(everything(dir.path())[0].event.node, "n2".into(), "{part}");
        assert_eq!(reader.events(&page(1)).unwrap()[0].event.node, "n2".into(), "{part}");
        let count = reader.events(&page(9)).unwrap().len();
        assert_eq!(count, if part.is_empty() { 1 } else { 2 }, "what was only in the log is saved");
    }
}

#[tokio::test]
async fn the_index_of_the_log_is_deleted_while_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    opened(&mut history).await;
    let mut reader = history.opener().open().unwrap();
    let mut last = None;
    for number in 1..1_000 {
        if number == 100 {
            fs::remove_file(dir.path().join("history.db-shm")).unwrap();
        }
        last = history.tell(event(number, "n1", Kind::Phase, "s1").into(), heard(1));
        if number % 100 == 0 {
            flushed(&history, last).await;
            assert!(!reader.events(&page(9)).unwrap().is_empty());
        }
    }
    flushed(&history, last).await;
    assert_eq!(reader.events(&page(u32::MAX)).unwrap().len(), 999);
    assert!(history.finish(PATIENCE).await);
    assert_eq!(everything(dir.path()).len(), 999);
}

/// While this process reads it, which has memory in common with the file.
#[tokio::test]
async fn a_file_that_is_replaced_while_open_is_opened_anew() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut backup = start(other.path());
    backup.tell(event(7, "n7", Kind::Started, "s7").into(), heard(1));
    assert!(backup.finish(PATIENCE).await);
    let mut history = start(dir.path());
    opened(&mut history).await;
    let mut reader = history.opener().open().unwrap();
    let number = history.tell(event(1, "n1", Kind::Started, "s1").into(), heard(1));
    flushed(&history, number).await;
    assert_eq!(reader.events(&page(9)).unwrap().len(), 1);
    fs::rename(other.path().join(NAME), dir.path().join(NAME)).unwrap();
    assert!(reader.events(&page(9)).is_err(), "not before the writer has it");
    let number = history.tell(event(2, "n2", Kind::Started, "s2").into(), heard(2));
    assert!(trouble(&mut history).await.contains("deleted or replaced while in use"));
    again(&mut history).await;
    flushed(&history, number).await;
    assert_eq!(ids(&reader.events(&page(9)).unwrap()), ["host-1-2", "host-1-7"]);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside() {
    for (from, to, is_before) in [(0, 50, true), (5_000, 60_000, true), (5_000, 60_000, false)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let mut history = start(dir.path());
        opened(&mut history).await;
        for number in 0..500 {
            history.tell(event(number, "n1", Kind::Phase, "s1").into(), heard(1));
        }
        assert!(history.finish(PATIENCE).await);
        let damage = || {
            let mut bytes = fs::read(&path).unwrap();
            let to = to.min(bytes.len());
            bytes[from..to].fill(0xa5);
            fs::write(&path, bytes).unwrap();
        };
        if is_before {
            damage();
        }
        let mut history = start(dir.path());
        if !is_before {
            opened(&mut history).await;
            damage();
        }
        let mut number = None;
        for event_number in 1_000..1_100 {
            let event = event(event_number, "n2", Kind::Started, &format!("s{event_number}"));
            number = history.tell(event.into(), heard(2));
        }
        // SQLite has pages in memory, and notices only when it needs others.
        flushed(&history, number).await;
        let mut reader = Reader::open(dir.path()).unwrap();
        if is_before {
            let said = trouble(&mut history).await;
            assert!(said.contains("damaged") && said.contains("history.db.damaged"), "{said}");
            assert!(dir.path().join("history.db.damaged").exists());
            assert_eq!(reader.events(&page(500)).unwrap().len(), 100);
        }
        assert!(history.finish(PATIENCE).await);
    }
}

#[tokio::test]
async fn what_is_not_ours_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE t (x); PRAGMA user_version = 7").unwrap();
    drop(other);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let before = fs::read(&path).unwrap();
    let mut history = start(dir.path());
    assert!(trouble(&mut history).await.contains("a database, but no history"));
    drop(history);
    assert_eq!(fs::read(&path).unwrap(), before);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    symlink("/nonexistent/elsewhere", &path).unwrap();
    assert!(trouble(&mut start(dir.path())).await.contains("no regular file"));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let mut history = start(dir.path());
    assert!(trouble(&mut history).await.contains("lets others read and write it"));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(opened(&mut history).await, (Vec::new(), true), "as soon as it is mended");
}

#[tokio::test]
async fn a_directory_that_is_not_there_yet_or_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(&dir.path().join("new"));
    opened(&mut history).await;
    let mode = dir.path().join("new").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(trouble(&mut start(&file)).await.contains("directory"));
    assert!(trouble(&mut start(Path::new("/proc/1/nonexistent/x"))).await.contains("directory"));
    let missing = Reader::open(&dir.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("state directory"), "{missing}");
}

/// A tiny file system of its own, which only root can have; `None` where that is not allowed.
struct Tiny(tempfile::TempDir);

impl Tiny {
    fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(dir.path())
            .status();
        match mount {
            Ok(status) if status.success() => Some(Self(dir)),
            _ => {
                eprintln!("SKIPPED: mounting a file system is not allowed here");
                None
            }
        }
    }

    fn remount(&self, how: &str) {
        let status = Command::new("mount").args(["-o", how]).arg(self.0.path()).status();
        assert!(status.unwrap().success(), "{how}");
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[tokio::test]
async fn a_full_disk_is_told_once_and_then_that_there_is_room_again() {
    let Some(tiny) = Tiny::new("1m") else { return };
    let dir = tiny.0.path();
    let mut history = start(dir);
    opened(&mut history).await;
    fs::write(dir.join("ballast"), vec![0; 500_000]).unwrap();
    let mut last = None;
    for number in 0..4_000 {
        last = history.tell(event(number, "n1", Kind::Phase, "s1").into(), heard(1));
    }
    let said = trouble(&mut history).await;
    assert!(said.contains("the disk is full"), "{said}");
    let quiet = timeout(Duration::from_secs(3), history.next()).await;
    assert!(quiet.is_err(), "told once: {quiet:?}");
    let health = history.health();
    assert!(health.trouble.is_some() && health.lost == 0 && health.waiting > 0, "{health:?}");
    fs::remove_file(dir.join("ballast")).unwrap();
    tiny.remount("remount,size=32m");
    assert_eq!(again(&mut history).await, 0, "all of it waited");
    flushed(&history, last).await;
    assert_eq!(everything(dir).len(), 4_000);
    assert!(history.finish(PATIENCE).await);
}

#[tokio::test]
async fn a_disk_that_is_full_from_the_start() {
    let Some(tiny) = Tiny::new("64k") else { return };
    let mut history = start(tiny.0.path());
    let said = trouble(&mut history).await;
    assert!(said.contains("the disk is full"), "{said}");
    tiny.remount("remount,size=32m");
    opened(&mut history).await;
}

#[tokio::test]
async fn a_read_only_disk_is_told() {
    let Some(tiny) = Tiny::new("32m") else { return };
    let dir = tiny.0.path();
    let mut history = start(dir);
    opened(&mut history).await;
    let number = history.tell(event(1, "n1", Kind::Started, "s1").into(), heard(1));
    flushed(&history, number).await;
    assert!(history.finish(PATIENCE).await);
    tiny.remount("remount,ro");
    let mut history = start(dir);
    let number = history.tell(event(2, "n1", Kind::Dumping, "s1").into(), heard(1));
    let said = trouble(&mut history).await;
    assert!(said.contains("cannot be written"), "{said}");
    assert_eq!(everything(dir).len(), 1, "but read");
    tiny.remount("remount,rw");
    flushed(&history, number).await;
    assert_eq!(everything(dir).len(), 2);
    let (known, _) = opened(&mut history).await;
    assert_eq!(known.len(), 1);
}
