//! The kernel modules that the plan names.

use super::{Path, tell};
use crate::plan::{Statement, statements};
use crate::report::Line;
use crate::sys::{Errno, File, process};

/// It is loaded already, or a part of the kernel.
const EEXIST: Errno = Errno::new(17);

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
    let file = File::open(file.as_c());
    let compressed = !path.ends_with(b".ko");
    match process::load_module(&file, parameters.as_c(), compressed) {
        Ok(()) | Err(EEXIST) => {}
        Err(error) => {
            Line::new().text(path).text(b": ").error(error).say();
        }
    }
}
