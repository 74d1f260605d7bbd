//! What was read last, for the time in which it can't be read.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::blocking::Pending;
use super::lock;

/// A read that takes longer than this is not waited for where something was read before. A server closes a connection whose
/// CONNECT has not come after 2 s (`AUTH_TIMEOUT` in its `const.go`).
const PATIENCE: Duration = Duration::from_secs(1);

/// The last good value of what is read again and again, of type `T`; `F` is why it could not be read.
pub(crate) struct Kept<T, F> {
    state: Mutex<State<T, F>>,
}

struct State<T, F> {
    last: Option<T>,
    /// A read that was not waited for to its end.
    late: Option<Pending<Result<T, F>>>,
}

impl<T: Clone, F: fmt::Display> Kept<T, F> {
    /// `last`: what was read already.
    pub(crate) fn new(last: Option<T>) -> Kept<T, F> {
        Kept { state: Mutex::new(State { last, late: None }) }
    }

    /// What `reading` gives, or else what was read last: a file that is being written, is gone, or lies on a disk that
    /// hangs is no reason to stay away from a server.
    ///
    /// # Errors
    ///
    /// What went wrong, where nothing has been read before.
    pub(crate) async fn latest(&self, what: &str, mut reading: Pending<Result<T, F>>) -> Option<Result<T, F>> {
        let Some(last) = self.last() else {
            let outcome = reading.outcome().await;
            if let Some(Ok(read)) = &outcome {
                lock(&self.state).last = Some(read.clone());
            }
            return outcome;
        };
        let left = PATIENCE.saturating_sub(reading.since.elapsed());
        let read = match tokio::time::timeout(left, reading.outcome()).await {
            Ok(Some(Ok(read))) => {
                lock(&self.state).last = Some(read.clone());
                read
            }
            Ok(Some(Err(fault))) => {
                tracing::warn!(%fault, "{what} can't be read; what was read last is used");
                last
            }
            Ok(None) => {
                tracing::warn!("reading {what} was abandoned; what was read last is used");
                last
            }
            Err(_) => {
                tracing::warn!("reading {what} takes longer than {PATIENCE:?}; what was read last is used");
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

impl<T: Clone, F: fmt::Display> Default for Kept<T, F> {
    /// Nothing was read yet.
    fn default() -> Self {
        Kept::new(None)
    }
}

impl<T, F> fmt::Debug for Kept<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}
