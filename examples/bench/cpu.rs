//! CPU time of the client's threads in this process, without those of a far end in the same process.

use std::fs;
use std::time::Duration;

/// The names of the threads of sink, source and broker, of TLS in front of them, and of the clock of `--rate`.
const OTHERS: [&str; 5] = ["sink", "source", "broker", "tls-front", "pacer"];

/// CPU time of the client's threads so far. `None` if the system does not provide it (only Linux does).
///
/// Threads that have ended do not count; the measured ones live as long as the program.
pub(crate) fn used() -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?.path();
        let name = fs::read_to_string(task.join("comm")).ok()?;
        if OTHERS.iter().any(|other| name.starts_with(other)) {
            continue;
        }
        // The first number: nanoseconds of CPU time, in user mode and in the kernel.
        let schedstat = fs::read_to_string(task.join("schedstat")).ok()?;
        sum += Duration::from_nanos(schedstat.split(' ').next()?.parse().ok()?);
    }
    Some(sum)
}
