//! Waiting with a deadline, from any executor, whether or not the connection's runtime is running.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

pub(super) use super::alone::yield_once;
use super::error::{NotDriven, SendFault};
use crate::driver::{Handle, Room, Shared, Timer};

/// The deadline has passed.
#[derive(Debug)]
pub(super) struct Elapsed;

/// The deadline of a call that may take `limit`; `None`: no deadline.
pub(super) fn deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| now().checked_add(limit))
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The deadline of a call or a stream.
///
/// Poll it after the future that it limits. When the deadline has just passed, the connection's task gets one more
/// run: if the runtime was busy or the process was stopped, the answer may be in the socket already.
#[derive(Debug)]
pub(super) struct Deadline {
    /// `None`: never.
    at: Option<Instant>,
    /// Made by the first pending poll.
    timer: Option<Timer>,
    last_turn: bool,
    /// Whether the client's end counts as the deadline.
    ends_with_client: bool,
}

impl Deadline {
    pub(super) fn new(at: Option<Instant>) -> Deadline {
        Deadline { at, timer: None, last_turn: false, ends_with_client: true }
    }

    pub(super) fn reset(&mut self, at: Option<Instant>) {
        self.at = at;
        self.last_turn = false;
        match (&mut self.timer, at) {
            (Some(timer), Some(at)) => timer.reset(at),
            _ => self.timer = None,
        }
    }

    /// Whether there is one.
    #[cfg(feature = "jetstream")]
    pub(super) fn is_set(&self) -> bool {
        self.at.is_some()
    }

    /// The same for a wait that ends by itself when the client ends.
    pub(super) fn even_if_closed(at: Option<Instant>) -> Deadline {
        Deadline { ends_with_client: false, ..Deadline::new(at) }
    }

    /// The wait is over: the timer may serve another one.
    pub(super) fn over(&mut self, shared: &Shared) {
        if let Some(timer) = self.timer.take() {
            shared.keep_timer(timer);
        }
    }

    /// Ready when the deadline has passed or, usually, the client has ended.
    pub(super) fn poll(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        if self.last_turn || (self.ends_with_client && shared.completed().is_some()) {
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| shared.timer(at));
        if shared.poll_timer(timer, cx).is_ready() {
            self.last_turn = true;
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Waits for `future` until `deadline`. A result at the deadline, or after one more run of the connection's task,
/// counts as in time.
pub(super) async fn until<F: Future>(
    shared: &Shared,
    deadline: Option<Instant>,
    future: F,
) -> Result<F::Output, Elapsed> {
    before(shared, Deadline::new(deadline), future).await
}

/// The same for something that goes on when the client has ended, such as a handler of the user.
pub(super) async fn until_even_if_closed<F: Future>(
    shared: &Shared,
    deadline: Option<Instant>,
    future: F,
) -> Result<F::Output, Elapsed> {
    before(shared, Deadline::even_if_closed(deadline), future).await
}

async fn before<F: Future>(shared: &Shared, mut deadline: Deadline, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => deadline.poll(shared, cx).map(|()| Err(Elapsed)),
    })
    .await
}

/// Waits until another call may be submitted, and yields now and then: calls in a loop must neither pile up nor
/// monopolize the runtime. `frames`: each call sends a frame, which the server may be slow to accept. Callers put a
/// deadline around this, since the connection's task may not be running.
pub(super) async fn room_for_call(handle: &Arc<Handle>, frames: bool) {
    if handle.shared.must_yield() {
        yield_once().await;
    }
    Room::for_call(Arc::clone(handle), frames).await;
}

/// [`room_for_call`] for a call that sends no frame, for `limit` at most.
pub(super) async fn room_for_command(handle: &Arc<Handle>, limit: Duration) -> Result<(), NotDriven> {
    let room = until(&handle.shared, deadline(Some(limit)), room_for_call(handle, false));
    room.await.map_err(|Elapsed| NotDriven { waited: limit })
}

/// [`room_for_call`] for any call, for `limit` at most.
pub(super) async fn room_for_call_within(handle: &Arc<Handle>, frames: bool, limit: Duration) -> Result<(), SendFault> {
    let began = now();
    until(&handle.shared, deadline(Some(limit)), room_for_call(handle, frames))
        .await
        .map_err(|Elapsed| SendFault::NoRoom { waited: now().saturating_duration_since(began) })
}
