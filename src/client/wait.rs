//! Waiting with a deadline, from any executor, whether somebody drives the connection's runtime or not.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::error::{NotDriven, SendFault};
use crate::driver::{Handle, Room, Shared, Timer};

/// Not in time.
#[derive(Debug)]
pub(super) struct Elapsed;

/// When a call that may take `limit` has to end; `None`: never.
pub(super) fn deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| now().checked_add(limit))
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The deadline of a call or a stream.
///
/// It is polled after whatever has to be ready by then. A deadline that has just passed gives the connection's task one more
/// turn: when the runtime was busy elsewhere, or the whole process was stopped, the answer may lie in the socket.
#[derive(Debug)]
pub(super) struct Deadline {
    /// `None`: never.
    at: Option<Instant>,
    /// Made by the first poll that has to wait.
    timer: Option<Timer>,
    last_turn: bool,
}

impl Deadline {
    pub(super) fn new(at: Option<Instant>) -> Deadline {
        Deadline { at, timer: None, last_turn: false }
    }

    pub(super) fn reset(&mut self, at: Option<Instant>) {
        self.at = at;
        self.last_turn = false;
        match (&mut self.timer, at) {
            (Some(timer), Some(at)) => timer.reset(at),
            _ => self.timer = None,
        }
    }

    /// Ready when it has passed, or when the client has ended.
    pub(super) fn poll(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        // The client may have ended with its runtime, whose timers must not be polled any more.
        if self.last_turn || shared.completed().is_some() {
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

/// Waits for `future` until `deadline`. What is ready at the deadline, or one turn of the connection's task later, counts as in
/// time.
pub(super) async fn until<F: Future>(
    shared: &Shared,
    deadline: Option<Instant>,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut deadline = Deadline::new(deadline);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => deadline.poll(shared, cx).map(|()| Err(Elapsed)),
    })
    .await
}

/// Lets others run once.
pub(super) async fn yield_once() {
    tokio::task::yield_now().await;
}

/// Waits until another call may be handed in, and lets others run now and then: what a program calls in a loop must neither
/// pile up nor keep the runtime to itself. `frames`: the server is told of each, and may be slow to take it. A deadline is around
/// this: the connection's task may not run.
pub(super) async fn turn(handle: &Arc<Handle>, frames: bool) {
    if handle.shared.owes_a_yield() {
        yield_once().await;
    }
    Room::for_call(Arc::clone(handle), frames).await;
}

/// The same of a call of which no server is told, for `limit` at most.
pub(super) async fn turn_driven(handle: &Arc<Handle>, limit: Duration) -> Result<(), NotDriven> {
    let turn = until(&handle.shared, deadline(Some(limit)), turn(handle, false));
    turn.await.map_err(|Elapsed| NotDriven { waited: limit })
}

/// The same of any call, for `limit` at most.
pub(super) async fn turn_within(handle: &Arc<Handle>, frames: bool, limit: Duration) -> Result<(), SendFault> {
    let began = now();
    until(&handle.shared, deadline(Some(limit)), turn(handle, frames))
        .await
        .map_err(|Elapsed| SendFault::NoRoom { waited: now().saturating_duration_since(began) })
}
