//! `monitor`: could this host speak if it crashed, and verify what others say?

use std::fs;

use fence_kdump_core::Instant;
use thiserror::Error;

use super::{Ending, credentials};
use crate::options::Settings;
use crate::voice::{Voice, Weight};

/// How many bytes are reserved for a crash kernel (`Documentation/ABI/testing/sysfs-kernel-kexec`).
const SIZE: &str = "/sys/kernel/kexec_crash_size";

/// 1 when a crash kernel is loaded there.
const LOADED: &str = "/sys/kernel/kexec_crash_loaded";

/// Why this host could not speak.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The kernel does not say.
    #[error("{file}: {error}; is this kernel built with kexec? {HINT}")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// Why not.
        error: String,
    },
    /// No room.
    #[error(
        "no memory is reserved for a crash kernel ({SIZE} is 0): add crashkernel= to the kernel's command line and reboot; {HINT}"
    )]
    NotReserved,
    /// No crash kernel.
    #[error(
        "memory is reserved for a crash kernel, but none is loaded ({LOADED} is 0): start the kdump service; {HINT}"
    )]
    NotLoaded,
}

const HINT: &str = "if this host only listens and needs none, set listen_only=1";

/// What was found, from the contents of the two files.
///
/// # Errors
/// When the host could not speak if it crashed.
fn check(
    size: Result<u64, MonitorError>,
    loaded: Result<u64, MonitorError>,
) -> Result<String, MonitorError> {
    match (size?, loaded?) {
        (0, _) => Err(MonitorError::NotReserved),
        (size, 1) => Ok(format!(
            "a crash kernel is loaded ({LOADED} is 1) in {} MiB reserved for it ({SIZE})",
            size / (1024 * 1024)
        )),
        (_, _) => Err(MonitorError::NotLoaded),
    }
}

fn number_in(file: &'static str) -> Result<u64, MonitorError> {
    let unreadable = |error: String| MonitorError::Unreadable { file, error };
    let text = fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    let number = text.trim();
    number.parse().map_err(|_| unreadable(format!("'{number}' is not a number")))
}

/// Checks that a crash kernel is reserved and loaded, unless this host only listens; and, if there is
/// a key file, that signed messages of the node could be verified and remembered.
pub fn monitor(settings: &Settings, deadline: Instant, voice: &Voice) -> Ending {
    let can_speak = crash_kernel(settings, voice);
    let can_verify = credentials::check(settings, deadline, voice);
    if can_speak && can_verify { Ending::Well } else { Ending::Unwell }
}

fn crash_kernel(settings: &Settings, voice: &Voice) -> bool {
    if settings.listen_only {
        let line =
            "this host only listens (listen_only): whether it has a crash kernel was not checked";
        voice.say(Weight::Info, line);
        return true;
    }
    match check(number_in(SIZE), number_in(LOADED)) {
        Ok(found) => {
            voice.say(Weight::Detail, found);
            true
        }
        Err(error) => {
            voice.say(Weight::Error, error.to_string());
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_loaded_or_not_well() {
        assert!(check(Ok(100_663_296), Ok(1)).unwrap().contains("96 MiB"));
        assert_eq!(check(Ok(0), Ok(0)), Err(MonitorError::NotReserved));
        assert_eq!(check(Ok(0), Ok(1)), Err(MonitorError::NotReserved));
        assert_eq!(check(Ok(1), Ok(0)), Err(MonitorError::NotLoaded));
        assert_eq!(check(Ok(1), Ok(2)), Err(MonitorError::NotLoaded));
    }

    #[test]
    fn errors_say_what_would_be_right() {
        assert!(MonitorError::NotReserved.to_string().contains("crashkernel="));
        assert!(MonitorError::NotLoaded.to_string().contains("listen_only=1"));
    }
}
