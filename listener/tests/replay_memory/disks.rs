//! Disks that are full, read-only, frozen, or lose power.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant as Timer};

use fence_kdump_core::Disbelief;
use fence_kdump_listener::store::{Judged, Memory, News, Notary, StoreError};
use tokio::time::timeout;

use crate::again::{again, can_make_disks, place, run, succeeds, unshare};
use crate::{heard, hearing};

/// Runs the test `name` again with a file system of these options mounted on a folder, unless this is that.
fn with_disk(name: &str, mount: &[&str], test: impl FnOnce(&Path)) {
    if let Some(place) = place() {
        let target = place.to_str().unwrap();
        run("mount", &[mount, &[target]].concat());
        fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        return test(&place);
    }
    let Some(by) = unshare(&["--mount"], name) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("mounted");
    fs::create_dir(&place).unwrap();
    succeeds(again(&by, name, &place));
}

/// Takes all room of the disk but `pages` pages.
fn fill(disk: &Path, pages: u64) {
    let path = disk.join("filling");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let size = file.metadata().unwrap().len();
    file.set_len(size - pages * 4096).unwrap();
}

#[test]
fn a_full_disk_is_told_and_nothing_is_believed() {
    let name = "disks::a_full_disk_is_told_and_nothing_is_believed";
    with_disk(name, &["-t", "tmpfs", "-o", "size=512k", "none"], |disk| {
        let room = || fs::remove_file(disk.join("filling")).unwrap();
        // From no room at all to enough of it, for a memory that is new and for one that is there.
        let (mut full, mut made) = (0, 0);
        for pages in 0..14 {
            fill(disk, pages);
            let dir = disk.join(format!("new{pages}"));
            match Memory::open(&dir) {
                Ok(_) => made += 1,
                Err(StoreError::Full { path }) => {
                    full += 1;
                    assert_eq!(path, dir.join("replay.db"));
                }
                // Not even for the directory.
                Err(StoreError::Directory { source, .. }) => {
                    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
                    full += 1;
                }
                Err(other) => panic!("{pages} pages: {other:?}"),
            }
            room();
            let mut memory = Memory::open(&dir).expect("there is room again");
            assert_eq!(memory.judge(&heard(1, 1)).unwrap(), Ok(()));
            drop(memory);
            fs::remove_dir_all(dir).unwrap();
        }
        assert!(full >= 2 && made >= 2, "{full} times full, {made} times made");

        let dir = disk.join("state");
        let mut memory = Memory::open(&dir).unwrap();
        assert_eq!(memory.judge(&heard(1, 1)).unwrap(), Ok(()));
        fill(disk, 0);
        // Many crashes at once need new pages in any case.
        for crash in 2..200 {
            let error = memory.judge(&heard(crash, 1)).expect_err("nothing can be remembered");
            assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
            assert!(error.to_string().contains("the disk is full"), "{error}");
        }
        let error = Memory::open(&dir).expect_err("it cannot be written");
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        room();
        for crash in 2..200 {
            assert_eq!(memory.judge(&heard(crash, 1)).unwrap(), Ok(()), "nothing of it was heard");
        }
        let again = memory.judge(&hearing(1, 1, 2_000_000_000_000, false)).unwrap();
        assert_eq!(again, Err(Disbelief::Replayed), "what was known before still is");
    });
}

#[test]
fn a_disk_that_becomes_full_loses_nothing_that_was_believed() {
    let name = "disks::a_disk_that_becomes_full_loses_nothing_that_was_believed";
    with_disk(name, &["-t", "tmpfs", "-o", "size=512k", "none"], |disk| {
        fill(disk, 12);
        let mut memory = Memory::open(disk).unwrap();
        let mut believed = Vec::new();
        for crash in 1..255 {
            match memory.judge(&heard(crash, 1)) {
                Ok(result) => {
                    assert_eq!(result, Ok(()));
                    believed.push(crash);
                }
                Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error:?}"),
            }
        }
        assert!((10..254).contains(&believed.len()), "{} believed", believed.len());
        fs::remove_file(disk.join("filling")).unwrap();
        let mut memory = Memory::open(disk).unwrap();
        for crash in 1..255 {
            let expected =
                if believed.contains(&crash) { Err(Disbelief::Replayed) } else { Ok(()) };
            let again = memory.judge(&hearing(crash, 1, 3_000_000_000_000, false)).unwrap();
            assert_eq!(again, expected, "{crash}");
        }
    });
}

#[test]
fn a_read_only_disk_is_told_and_nothing_is_believed() {
    let name = "disks::a_read_only_disk_is_told_and_nothing_is_believed";
    with_disk(name, &["-t", "tmpfs", "none"], |disk| {
        let dir = disk.join("state");
        let mut memory = Memory::open(&dir).unwrap();
        assert_eq!(memory.judge(&heard(1, 1)).unwrap(), Ok(()));
        drop(memory);
        let target = disk.to_str().unwrap();
        run("mount", &["-o", "remount,ro", target]);
        for dir in [dir.clone(), disk.join("new")] {
            match Memory::open(&dir).expect_err("it cannot be written") {
                StoreError::ReadOnly { path } => assert_eq!(path, dir.join("replay.db")),
                StoreError::Directory { path, .. } => assert_eq!(path, disk.join("new")),
                other => panic!("{other:?}"),
            }
        }
        run("mount", &["-o", "remount,rw", target]);
        let mut memory = Memory::open(&dir).unwrap();
        let again = memory.judge(&hearing(1, 1, 2_000_000_000_000, false)).unwrap();
        assert_eq!(again, Err(Disbelief::Replayed));
    });
}

/// The file beside `place` that a disk is made of, on which the kernel can be told to hold everything
/// back.
fn make_disk() -> PathBuf {
    let file = place().unwrap_or_default().with_file_name("disk");
    if place().is_some() {
        File::create(&file).unwrap().set_len(8 << 20).unwrap();
        run("mkfs.ext4", &["-q", file.to_str().unwrap()]);
    }
    file
}

#[test]
fn a_disk_that_hangs_holds_nothing_up() {
    let name = "disks::a_disk_that_hangs_holds_nothing_up";
    if !can_make_disks(name) {
        return;
    }
    let file = make_disk();
    with_disk(name, &["-o", "loop", file.to_str().unwrap()], |disk| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(hangs(disk));
        drop(runtime);
    });
}

/// Lets everything through again when it ends, however that is.
struct Frozen<'disk> {
    disk: &'disk str,
    rescue: std::process::Child,
}

impl<'disk> Frozen<'disk> {
    fn new(disk: &'disk str) -> Self {
        run("fsfreeze", &["--freeze", disk]);
        let rescue = "sleep 30; exec fsfreeze --unfreeze \"$0\"";
        let rescue = Command::new("sh").args(["-c", rescue, disk]).spawn().unwrap();
        Self { disk, rescue }
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").args(["--unfreeze", self.disk]).status();
        let _ = self.rescue.kill();
        let _ = self.rescue.wait();
    }
}

async fn hangs(disk: &Path) {
    let mut notary: Notary<u32> = Notary::start(&disk.join("state")).unwrap();
    let soon = Duration::from_secs(5);
    assert!(matches!(timeout(soon, notary.next()).await, Ok(News::Began(_))));
    let frozen = Frozen::new(disk.to_str().unwrap());
    let start = Timer::now();
    assert!(notary.submit(heard(1, 1), 1).is_none());
    assert!(notary.submit(hearing(1, 2, 1_002_000_000_000, true), 2).is_none());
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    match timeout(soon, notary.next()).await {
        Ok(News::Judged(Judged { ticket: 2, result: Ok(()), trouble: Some(trouble), .. })) => {
            assert!(matches!(*trouble, StoreError::Hangs { .. }), "{trouble:?}");
        }
        other => panic!("{other:?}"),
    }
    let waited = start.elapsed();
    assert!((1_000..1_500).contains(&waited.as_millis()), "{waited:?}");
    let silence = timeout(Duration::from_secs(2), notary.next()).await;
    assert!(silence.is_err(), "believed while it was not written: {silence:?}");
    drop(frozen);
    match timeout(soon, notary.next()).await {
        Ok(News::Judged(Judged { ticket: 1, result: Ok(()), trouble: None, .. })) => {}
        other => panic!("{other:?}"),
    }
}

/// What the disk has at the moment of an Ok is what is left after a power failure: the copy of it lacks all
/// that the kernel still keeps in memory.
#[test]
fn what_was_believed_survives_a_power_failure() {
    let name = "disks::what_was_believed_survives_a_power_failure";
    if !can_make_disks(name) {
        return;
    }
    let file = make_disk();
    with_disk(name, &["-o", "loop", file.to_str().unwrap()], |disk| {
        let (copy, after) = (file.with_extension("copy"), disk.join("after"));
        fs::create_dir(&after).unwrap();
        let mut memory = Memory::open(&disk.join("state")).unwrap();
        for sequence in 1..=8 {
            // Proof that the copy lacks what was not written for good.
            fs::write(disk.join(format!("not synced {sequence}")), [1; 100]).unwrap();
            assert_eq!(memory.judge(&heard(1, sequence)).unwrap(), Ok(()));
            fs::copy(&file, &copy).unwrap();
            run("mount", &["-o", "loop", copy.to_str().unwrap(), after.to_str().unwrap()]);
            let lost = fs::read(after.join(format!("not synced {sequence}")));
            assert_ne!(lost.unwrap_or_default(), [1; 100], "this copy shows nothing");
            let mut rest = Memory::open(&after.join("state")).unwrap();
            let again = rest.judge(&hearing(1, sequence, 2_000_000_000_000, false)).unwrap();
            assert_eq!(again, Err(Disbelief::Replayed), "{sequence}");
            drop(rest);
            run("umount", &[after.to_str().unwrap()]);
        }
    });
}
