//! Tells the linker how the program is put together: static, no start files, no library, its own
//! entry symbol. The arguments go to the program alone; the library and its tests link as usual.
//!
//! The same list is said in two dialects: to a C compiler that drives the linker, or to the linker
//! itself (`rust-lld` for foreign targets, see `.cargo/config.toml`).

use std::env;
use std::path::Path;

/// What a C compiler has to be told before it leaves its own start files and libraries out.
const COMPILER: [&str; 4] = ["-nostartfiles", "-nostdlib", "-static", "-no-pie"];
/// The same for a linker that is called directly: it adds nothing of its own.
const LINKER: [&str; 2] = ["-static", "-no-pie"];

/// What the linker itself is told besides what is where (`layout.ld`), and why.
const LAYOUT: [&str; 4] = [
    // Our own name: the musl target brings a `_start` that wants a libc behind it.
    "--entry=fence_kdump_entry",
    "--gc-sections",
    // A note nobody reads in a crash kernel.
    "--build-id=none",
    // Unwinding does not exist here; the table to search it with is not needed either.
    "--no-eh-frame-hdr",
];

/// Asked for its features, the processor would have to be remembered in memory that is written to,
/// which `layout.ld` refuses.
const WITHOUT_CFGS: &str = "build the sender with 'cargo sender' (see .cargo/config.toml), which \
    has SHA-256 computed without a look at the processor; where RUSTFLAGS is set, which replaces \
    the flags of that, add to it: --cfg sha2_backend=\"soft\" --cfg sha2_backend_soft=\"compact\"";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=layout.ld");
    if env::var_os("CARGO_FEATURE_STATIC_BIN").is_none() {
        return;
    }
    let compact = [("CARGO_CFG_SHA2_BACKEND", "soft"), ("CARGO_CFG_SHA2_BACKEND_SOFT", "compact")];
    if compact.iter().any(|(name, value)| env::var(name).as_deref() != Ok(*value)) {
        println!("cargo::error={WITHOUT_CFGS}");
        return;
    }
    let linker = env::var("RUSTC_LINKER").unwrap_or_default();
    let linker = Path::new(&linker).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let direct = linker.ends_with("lld") || linker == "ld" || linker.ends_with("-ld");
    let script = format!("--script={}/layout.ld", env!("CARGO_MANIFEST_DIR"));
    let layout = LAYOUT.into_iter().chain([script.as_str()]);
    if direct {
        LINKER.into_iter().chain(layout).for_each(tell);
    } else {
        COMPILER.into_iter().for_each(tell);
        layout.for_each(|argument| tell(&format!("-Wl,{argument}")));
    }
}

fn tell(argument: &str) {
    println!("cargo:rustc-link-arg-bins={argument}");
}
