//! The last good content of files, used while they cannot be read.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::blocking::Pending;
use super::guard::observed;
use super::lock;

/// If a read takes longer and there is an earlier value, that is used. A server closes a connection whose
/// CONNECT has not arrived after 2 s (`AUTH_TIMEOUT` in its `const.go`).
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The last good value, of type `T`, of something that is read repeatedly; `F` is the error of a read.
pub(crate) struct LastGood<T, F> {
    state: Mutex<State<T, F>>,
}

struct State<T, F> {
    last: Option<T>,
    /// A read whose end was not waited for.
    late: Option<Pending<Result<T, F>>>,
}

impl<T: Clone, F: fmt::Display> LastGood<T, F> {
    /// `last`: an earlier value.
    pub(crate) fn new(last: Option<T>) -> LastGood<T, F> {
        LastGood { state: Mutex::new(State { last, late: None }) }
    }

    /// The result of `reading`, or else the last good value: a file that is being written, is gone, or lies on a disk
    /// that hangs should not keep the client from a server.
    ///
    /// # Errors
    ///
    /// The error of the read, if there is no earlier value.
    pub(crate) async fn latest(&self, what: &str, mut reading: Pending<Result<T, F>>) -> Option<Result<T, F>> {
        let Some(last) = self.last() else {
            let outcome = reading.outcome().await;
            if let Some(Ok(read)) = &outcome {
                lock(&self.state).last = Some(read.clone());
            }
            return outcome;
        };
        let left = LONGEST_WAIT.saturating_sub(reading.since.elapsed());
        let read = match tokio::time::timeout(left, reading.outcome()).await {
            Ok(Some(Ok(read))) => {
                lock(&self.state).last = Some(read.clone());
                read
            }
            Ok(Some(Err(fault))) => {
                observed(|| tracing::warn!(%fault, "{what} cannot be read; using its last content"));
                last
            }
            Ok(None) => {
                observed(|| tracing::warn!("reading {what} was abandoned; using its last content"));
                last
            }
            Err(_) => {
                observed(|| {
                    tracing::warn!("reading {what} takes longer than {LONGEST_WAIT:?}; using its last content")
                });
                lock(&self.state).late = Some(reading);
                last
            }
        };
        Some(Ok(read))
    }

    fn last(&self) -> Option<T> {
        let mut state = lock(&self.state);
        let late = state.late.as_mut().and_then(Pending::outcome_now);
        if let Some(Ok(read)) = late {
            state.last = Some(read);
        }
        state.last.clone()
    }
}

impl<T: Clone, F: fmt::Display> Default for LastGood<T, F> {
    /// Nothing was read yet.
    fn default() -> Self {
        LastGood::new(None)
    }
}

impl<T, F> fmt::Debug for LastGood<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastGood")
    }
}
