//! `include/fence_kdump.h` is what the source says.

use std::path::Path;

#[test]
fn the_committed_header_is_current() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut generated = Vec::new();
    cbindgen::generate(here).expect("cbindgen reads the crate").write(&mut generated);
    let generated = String::from_utf8(generated).expect("a header is text");
    let path = here.join("../../include/fence_kdump.h");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &generated).expect("the header can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "include/fence_kdump.h is out of date: run `make header`");
}
