//! Threads whose work can wait a moment.

use rustix::process::setpriority_process;

/// How much less of the processor such a thread gets than one that hears or answers, when both want it
/// (`setpriority(2)`): about a tenth.
const NICE: i32 = 10;

/// This thread gives way to all others of the process from now on: to those that read the port and answer agents,
/// on a host with a single processor, too. What it is late with, it does later.
pub(crate) fn give_way() {
    // Where that is forbidden, as by a service manager's filter, all goes on as it was.
    let _ = setpriority_process(None, NICE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[test]
    fn only_the_thread_that_says_so_gives_way() {
        let before = getpriority_process(None).unwrap();
        let other = std::thread::spawn(|| {
            give_way();
            getpriority_process(None).unwrap()
        });
        assert_eq!(other.join().unwrap(), NICE);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
