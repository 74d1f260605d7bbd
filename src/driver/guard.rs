//! Runs user code on the connection's task, so that its panic becomes an error and does not end the client.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Runs `code` of the user's `what`. A panic becomes an error that names `what`.
pub(super) fn guarded<T>(what: &str, code: impl FnOnce() -> T) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|_| io::Error::other(format!("the {what} panicked")))
}

/// Runs what may call the subscriber of the log and the spans, which is user code as well. After a panic the line or the
/// span is missing.
pub(super) fn observed(code: impl FnOnce()) {
    let _ = guarded("subscriber of the log", code);
}

/// Wakes a task of any executor.
pub(super) fn wake(waker: Waker) {
    let _ = guarded("waker", || waker.wake());
}
