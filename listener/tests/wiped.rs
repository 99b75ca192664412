//! No key is left in memory that was given back.
//!
//! An allocator looks through every block that is freed, or grown elsewhere, for keys: those of this
//! test as bytes, and any key as a key file has it, 64 hexadecimal digits in a row.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use fence_kdump_core::{Key, KeyId};
use fence_kdump_listener::ctl::{list, make, rotate};
use fence_kdump_listener::keys::Ring;
use fence_kdump_listener::keys::line::Line;

/// The cluster key of this test, of which each half would be too much.
const SECRET: [u8; 32] = *b"\xd1\xe2\xf3secret of this very test!\x85\x96\xa7\xb8";

static LOOKING: AtomicBool = AtomicBool::new(false);
static FOUND: AtomicU32 = AtomicU32::new(0);

struct Looking;

#[global_allocator]
static ALLOCATOR: Looking = Looking;

// SAFETY: everything is done by the system's allocator, which keeps the contract; what is read here is read
// before it is freed.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if LOOKING.load(Ordering::Relaxed) {
            // SAFETY: `block` was allocated with this layout, all of it zeroed, and nobody else has it.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            if has_key(bytes) {
                FOUND.fetch_add(1, Ordering::Relaxed);
            }
        }
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(block, layout) }
    }

    // `realloc` is the default one: it allocates, copies, and frees by the function above.
}

fn has_key(bytes: &[u8]) -> bool {
    let halves = [&SECRET[..16], &SECRET[16..]];
    if bytes.windows(16).any(|window| halves.contains(&window)) {
        return true;
    }
    let mut digits = 0;
    bytes.iter().any(|byte| {
        digits = if byte.is_ascii_hexdigit() { digits + 1 } else { 0 };
        digits >= 64
    })
}

/// How many blocks with keys in them were freed meanwhile.
fn freed<T>(work: impl FnOnce() -> T) -> (u32, T) {
    FOUND.store(0, Ordering::Relaxed);
    LOOKING.store(true, Ordering::Relaxed);
    let result = work();
    LOOKING.store(false, Ordering::Relaxed);
    (FOUND.load(Ordering::Relaxed), result)
}

/// What is done with the key file, and what that is called.
type Way<'a> = (&'a str, &'a dyn Fn(&Path));

/// One test alone: the allocator is that of the whole program.
#[test]
fn keys_are_wiped_before_their_memory_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.key");
    let key = Key::from_bytes(&SECRET);
    let line = Line::Cluster { id: key.id(), key: key.clone() }.text();
    // First, that the allocator does see keys.
    let (seen, ()) = freed(|| drop(SECRET.to_vec()));
    assert_eq!(seen, 1);
    let (seen, ()) = freed(|| drop(line.as_bytes().to_vec()));
    assert_eq!(seen, 1);
    let (seen, ()) = freed(|| {
        let mut text = String::with_capacity(80);
        text.push_str(&line);
        text.push_str(&line);
        text.clear();
        drop(text);
    });
    assert!(seen >= 1, "a string that grew elsewhere");

    fs::write(&path, line.as_bytes()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let ways: [Way<'_>; 8] = [
        ("load", &|path| drop(Ring::load(path).unwrap())),
        ("clone", &|path| drop(Ring::load(path).unwrap().clone())),
        ("verify", &|path| {
            drop(Ring::load(path).unwrap().node_key(Key::from_bytes(&SECRET).id(), "n1").unwrap());
        }),
        ("list", &|path| drop(list::run(path, true).unwrap())),
        ("derive", &|path| drop(make::derive("n1", path, None, false).unwrap())),
        ("rotate", &|path| drop(rotate::begin(path).unwrap())),
        ("derive again", &|path| drop(make::derive("n1", path, None, true).unwrap())),
        ("finish", &|path| drop(rotate::finish(path, false).unwrap())),
    ];
    for (name, work) in ways {
        let (seen, ()) = freed(|| work(&path));
        assert_eq!(seen, 0, "{name}: blocks with keys in them");
    }
    let (seen, said) = freed(|| make::new(Some(&folder.path().join("new.key"))).unwrap());
    assert_eq!(seen, 0, "new: {said}");
    // Many of them, so that lists grow.
    let node = |number| {
        let name = format!("n{number}");
        Line::Node { key_id: KeyId([1; 4]), key: key.clone(), name }.text()
    };
    let nodes: Vec<_> = (0..100).map(node).collect();
    fs::write(&path, nodes.iter().flat_map(|line| line.bytes()).collect::<Vec<_>>()).unwrap();
    let (seen, ring) = freed(|| Ring::load(&path).unwrap());
    assert_eq!((seen, ring.nodes().len()), (0, 100), "many");
    // Also when it is refused half way.
    let damaged = [line.as_bytes(), line.as_bytes(), b"cluster"].concat();
    fs::write(&path, damaged).unwrap();
    let (seen, error) = freed(|| Ring::load(&path).unwrap_err());
    assert_eq!(seen, 0, "refused: {error}");
}
