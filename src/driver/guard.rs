//! Users' code that runs on the connection's task: a panic there is an error of theirs, and not the end of the client.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Runs `code` of a user's `what`. A panic is an error that says whose it was.
pub(super) fn guarded<T>(what: &str, code: impl FnOnce() -> T) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|_| io::Error::other(format!("the {what} panicked")))
}

/// Wakes a task of any executor.
pub(super) fn wake(waker: Waker) {
    let _ = guarded("waker", || waker.wake());
}
