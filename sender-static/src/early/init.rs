//! Which program process 1 becomes.

use super::Path;
use crate::plan::{Statement, statements};
use crate::sys::{Arguments, process};

/// What is tried when nobody names an init, or when what was named cannot be executed: the initrd's, the
/// one that had to make room for this program, and then what the kernel itself looks for.
const KNOWN: &[u8] = b"/init\0/init.real\0/sbin/init\0/etc/init\0/bin/init\0/bin/sh";

/// Becomes the init: the one `named` on the kernel's command line, the plan's, or a known one, whichever
/// can be executed first. None of them is this very program. Returns when there is none.
pub(super) fn become_one(arguments: &Arguments, named: &[u8], plan: &[u8]) {
    let me = arguments.program().and_then(process::which_file);
    let become_program = |path: &[u8]| {
        if let Some(path) = Path::new(path)
            && !path.as_c().is_empty()
            && (me.is_none() || process::which_file(path.as_c()) != me)
        {
            process::become_program(path.as_c(), arguments);
        }
    };
    become_program(named);
    for statement in statements(plan) {
        if let Ok(Statement::Init(path)) = statement {
            become_program(path);
        }
    }
    for path in crate::text::pieces(KNOWN, 0) {
        become_program(path);
    }
}
