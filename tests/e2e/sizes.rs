//! How large the files may be that a distribution installs, in one place. Run with `--nocapture` to see them.
//!
//! What each may grow by is what a good reason costs, not what nobody notices: a new dependency of the
//! agent, which is read from the disk while a cluster waits, does not fit.

use fence_kdump_numbers::record;
use fence_kdump_tests::programs;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The most bytes that each file of target/dist may have.
const LIMITS: [(&str, u64); 7] = [
    ("fence_kdump", 4 * MIB),
    ("fence_kdumpctl", 5 * MIB),
    ("fence_kdumpd", 11 * MIB),
    // The crash kernel's memory: without its own IP stack it is what the stock tool does too, in 16 KiB,
    // and 5 for signing.
    ("fence_kdump_send", 80 * KIB),
    ("udp/fence_kdump_send", 21 * KIB),
    // The archive has more than what a program takes of it, which is what the shared one shows.
    ("libfence_kdump.a", 5 * MIB),
    ("libfence_kdump.so.0", 48 * KIB),
];

#[test]
fn what_is_installed_is_not_larger_than_it_may_be() {
    let mut wrong = Vec::new();
    for (name, limit) in LIMITS {
        let path = programs::ours(name);
        let bytes = std::fs::metadata(&path).expect("a file that is there").len();
        println!("{name}: {bytes} bytes of {limit}");
        record("sizes", name, "file", &[bytes as f64]);
        record("sizes", name, "file limit", &[limit as f64]);
        if bytes > limit {
            wrong.push(format!("{name}: {bytes} bytes, and {limit} are allowed"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nobody is to learn from a full disk that a program was installed with its debugging symbols.
#[test]
fn what_is_installed_is_stripped() {
    for name in ["fence_kdump", "fence_kdumpctl", "fence_kdumpd", "libfence_kdump.so.0"] {
        let elf = std::fs::read(programs::ours(name)).expect("a file that is there");
        let has = |what: &[u8]| elf.windows(what.len()).any(|part| part == what);
        assert!(!has(b"\0.debug_info\0"), "{name}: has debugging symbols");
        assert!(!has(b"\0.symtab\0"), "{name}: has symbols");
        assert!(has(b"\0.shstrtab\0"), "{name}: no names of sections to look at");
    }
}
