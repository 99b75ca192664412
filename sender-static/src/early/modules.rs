//! The kernel modules that the plan names.

use super::{Path, tell};
use crate::plan::{Statement, statements};
use crate::report::Line;
use crate::schedule::Millis;
use crate::sys::{Errno, File, process};

/// It is loaded already, or a part of the kernel.
const EEXIST: Errno = Errno::new(17);

/// How long insmod may take.
const PATIENCE: Millis = Millis::seconds(10);

/// Loads them in the order of the plan. What cannot be loaded is told and left out.
pub(super) fn load(plan: &[u8]) {
    for statement in statements(plan) {
        if let Ok(Statement::Module(path, parameters)) = statement {
            load_one(path, parameters);
        }
    }
}

#[inline(never)]
fn load_one(path: &[u8], parameters: &[u8]) {
    let (Some(file), Some(parameters)) = (Path::new(path), Path::new(parameters)) else {
        return tell(path, b"has too long a name or parameters, of 256 bytes or more");
    };
    let compressed = !path.ends_with(b".ko");
    let opened = File::open(file.as_c());
    match process::load_module(&opened, parameters.as_c(), compressed) {
        Ok(()) | Err(EEXIST) => {}
        // Older kernels do not decompress, and others do so with one method alone.
        Err(error) if error != Errno::ENOENT && compressed && with_tool(&file, &parameters) => {}
        Err(error) => {
            Line::new().text(path).text(b": ").error(error).say();
        }
    }
}

/// Has the initrd's own insmod load it. Says whether it has.
fn with_tool(file: &Path, parameters: &Path) -> bool {
    [c"/sbin/insmod", c"/usr/sbin/insmod"].into_iter().any(|tool| {
        process::which_file(tool).is_some()
            && process::run(tool, [file.as_c(), parameters.as_c()], PATIENCE)
    })
}
