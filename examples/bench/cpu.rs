//! CPU time of the client's side of this process: all threads but those of a far end that runs here too.

use std::fs;
use std::time::Duration;

/// How the threads of sink, source and broker are called.
const FAR_ENDS: [&str; 3] = ["sink", "source", "broker"];

/// What the client's threads have used so far. `None` where the system does not tell (only Linux does).
///
/// Threads that have ended are not in it; those that are measured live as long as the program.
pub(crate) fn used() -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?.path();
        let name = fs::read_to_string(task.join("comm")).ok()?;
        if FAR_ENDS.iter().any(|far_end| name.starts_with(far_end)) {
            continue;
        }
        // The first number: nanoseconds on a processor, in user mode and in the kernel.
        let schedstat = fs::read_to_string(task.join("schedstat")).ok()?;
        sum += Duration::from_nanos(schedstat.split(' ').next()?.parse().ok()?);
    }
    Some(sum)
}
