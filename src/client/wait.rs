//! Waiting with a deadline, from any executor, whether somebody drives the connection's runtime or not.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::error::{NotDriven, SendFault};
use crate::driver::{Handle, Room, Shared};

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

/// Waits for `future` until `deadline`. What is ready at the deadline, or one turn of the connection's task later, counts as in
/// time.
pub(super) async fn until<F: Future>(
    shared: &Shared,
    deadline: Option<Instant>,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut timer = None;
    let mut last_turn = false;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let Some(deadline) = deadline else { return Poll::Pending };
        if shared.completed().is_some() {
            // The client has ended, perhaps with its runtime, whose timers must not be polled any more.
            return Poll::Ready(Err(Elapsed));
        }
        // Made only when there is something to wait for.
        let timer = timer.get_or_insert_with(|| shared.timer(deadline));
        if last_turn {
            return Poll::Ready(Err(Elapsed));
        }
        // When the runtime was busy elsewhere, or the whole process was stopped, the answer may have come long ago and lie in
        // the socket: the connection's task gets a turn to read it.
        last_turn = shared.poll_timer(timer, cx).is_ready();
        if last_turn {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
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
