//! The mailbox: the outbox and the commands in one lock, and the wakers. Handles put in, the task takes out.

mod buffering;
mod contention;
mod known;
mod publish;
pub(super) mod task_side;
#[cfg(test)]
mod tests;
mod waking;

pub(crate) use publish::{Denied, OnFull, Priority, Publish};
use waking::Parked;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::command::Command;
use super::confirmations::Confirmations;
use super::deliver::Sink;
use super::inbox::Inbox;
use super::listeners::Listeners;
use super::record::Record;
use super::repeats::Repeats;
use super::requests::Requests;
use super::room::Queue;
use super::settings::DriverSettings;
use super::statistics::Statistics;
use super::timer::SpareTimers;
use crate::engine::{
    Cause, EndReason, Engine, FlushFailure, Frame, Handover, Ledger, Outbox, OutboxRules, Refusal, Status,
};
use crate::protocol::{Info, Subject};

/// What all handles and the task share.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    pub(crate) requests: Arc<Requests>,
    pub(super) confirmations: Confirmations,
    /// Messages that are sent again if they are in doubt.
    repeats: Repeats,
    pub(super) listeners: Listeners,
    pub(crate) record: Record,
    /// The number of streams that report each loss of the connection.
    pub(crate) gap_streams: AtomicUsize,
    /// Publish calls that were refused.
    pub(crate) refused: AtomicU64,
    statistics: Arc<Statistics>,
    pub(super) settings: DriverSettings,
    /// The subscription for replies; 0: there is none. Changed under the lock.
    replies: AtomicU64,
    pub(super) status: watch::Sender<Status>,
    runtime: tokio::runtime::Handle,
    timers: SpareTimers,
}

/// The data in the lock.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) outbox: Outbox,
    pub(super) room: Queue,
    /// Calls that wait until the task has taken earlier commands.
    pub(super) calls: Queue,
    /// The same for calls that send a frame to the server.
    pub(super) interest: Queue,
    commands: Vec<Command>,
    /// Rough size of the commands, in bytes.
    command_bytes: usize,
    /// Bytes of SUBs and UNSUBs that commands have queued for the transport, as of the last exchange.
    backlog: usize,
    parked: Parked,
    /// Something outside of this lock has changed that concerns the task, which may have looked before that.
    nudged: bool,
    task: Option<Waker>,
    next_sid: u64,
    /// As of the last exchange; messages admitted since then are waiting.
    ledger: Ledger,
    info: Option<Arc<Info>>,
    /// The largest message that is admitted. Unknown before the first INFO; then messages that are too large are found
    /// when they are replayed.
    max_payload: usize,
    headers: bool,
    server: Option<String>,
    /// Since when the client has been connected, if it is.
    connected_since: Option<Instant>,
    last_error: Option<Cause>,
    round_trip: Option<Duration>,
    /// Why no new subscription is accepted, if so.
    closed_reason: Option<EndReason>,
    /// Whether the client ended properly; set at the end.
    completed: Option<bool>,
    /// The ledger before the runtime ended, if it ended first.
    before_the_end: Option<Ledger>,
    /// Messages that were received but not read at the end.
    undelivered: u64,
    /// Bytes admitted since a publisher last yielded; a refused message counts as a share of [`YIELD_BYTES`].
    unyielded: usize,
}

/// A publisher that never has to wait yields after this many bytes: otherwise the task would not run on a
/// current-thread runtime (D11, seen). With 512 KiB the task writes less at a time, and messages of 64 KiB cost a fifth
/// more CPU; with the whole mark of 1 MiB publishers often wait for room, which costs more than to yield.
const YIELD_BYTES: usize = 768 * 1024;

/// The same after this many refusals.
const YIELD_REFUSALS: usize = 256;

/// Calls wait while the commands that the task has not taken exceed this size. Arbitrary: the task takes as much in one
/// round anyway.
const MOST_COMMANDS: usize = 256 * 1024;

/// Waiters woken at a time; each one that finds room wakes the next.
const WAKE_AT_ONCE: usize = 16;

impl Shared {
    pub(super) fn new(settings: DriverSettings, outbox: OutboxRules) -> Shared {
        Shared {
            inner: Mutex::new(Inner {
                outbox: Outbox::new(outbox),
                room: Queue::default(),
                calls: Queue::default(),
                interest: Queue::default(),
                commands: Vec::new(),
                command_bytes: 0,
                backlog: 0,
                parked: Parked::No,
                nudged: false,
                task: None,
                next_sid: 0,
                ledger: Ledger::default(),
                info: None,
                max_payload: usize::MAX,
                headers: true,
                server: None,
                connected_since: None,
                last_error: None,
                round_trip: None,
                closed_reason: None,
                completed: None,
                before_the_end: None,
                undelivered: 0,
                unyielded: 0,
            }),
            requests: Arc::default(),
            confirmations: Confirmations::default(),
            repeats: Repeats::default(),
            listeners: Listeners::default(),
            record: Record::default(),
            gap_streams: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            replies: AtomicU64::new(0),
            statistics: Arc::default(),
            settings,
            status: watch::Sender::new(Status::Disconnected),
            runtime: tokio::runtime::Handle::current(),
            timers: SpareTimers::default(),
        }
    }

    #[inline(always)]
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        contention::lock(&self.inner)
    }

    // The handles' side.

    /// Admits a message, or returns why not. `registered` gets its sequence number in the same critical section.
    #[inline(always)]
    pub(crate) fn publish(
        &self,
        publish: &Publish<'_>,
        on_full: OnFull,
        registered: impl FnOnce(u64),
    ) -> Result<(), Denied> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        if on_full == OnFull::Yield && inner.must_yield() {
            return Err(Denied::Yield);
        }
        if inner.outbox.wants_ticks() {
            inner.tick();
        }
        if publish.priority == Priority::Critical && self.would_buffer(inner) {
            return Err(Denied::Disconnected);
        }
        let before = inner.outbox.pending();
        match inner.admit(&publish.frame, on_full == OnFull::Insist) {
            Ok(sequence) => {
                inner.unyielded += inner.outbox.pending().saturating_sub(before);
                registered(sequence);
                if publish.priority == Priority::Confirmed {
                    inner.outbox.want_pong(sequence);
                }
                let task = inner.wake_for_messages();
                let gone = if inner.outbox.has_news() { inner.take_dropped() } else { Vec::new() };
                let next = if !inner.room.is_empty() && inner.outbox.has_room() { inner.room.pop() } else { None };
                drop(guard);
                drop(gone);
                if let Some(task) = task {
                    task.wake();
                }
                if let Some(next) = next {
                    next.wake();
                }
                Ok(())
            }
            Err(denied) => {
                buffering::refused(guard);
                Err(denied)
            }
        }
    }

    /// Submits a command.
    pub(crate) fn command(&self, command: Command) {
        submit(self.inner(), command);
    }

    /// Sends a PING after everything that was accepted so far, over the next connection if this one is lost, and returns where its
    /// answer comes. It leaves what is in doubt to the next flush.
    pub(crate) fn ping(&self) -> oneshot::Receiver<Result<(), FlushFailure>> {
        let (done, outcome) = oneshot::channel();
        self.command(Command::Flush { seen: u64::MAX, done });
        outcome
    }

    /// Adds a subscription.
    pub(crate) fn subscribe(
        &self,
        subject: Subject,
        (queue, handover): (Option<String>, Option<Handover>),
        inbox: Arc<Inbox>,
    ) -> Result<u64, EndReason> {
        self.add_interest(self.inner(), subject, (queue, handover), Sink::Inbox(inbox))
    }

    /// Adds the subscription for replies, unless it exists.
    pub(crate) fn subscribe_replies(&self, subject: impl FnOnce() -> Subject) -> Result<(), EndReason> {
        if self.knows_replies() {
            return Ok(());
        }
        let subject = subject();
        let inner = self.inner();
        if self.knows_replies() {
            // Another request was first.
            drop(inner);
            return Ok(());
        }
        self.add_interest(inner, subject, (None, None), Sink::Requests).map(drop)
    }

    /// Whether there is the subscription for replies.
    pub(crate) fn knows_replies(&self) -> bool {
        self.replies.load(Ordering::Acquire) != 0
    }

    /// Forgets a subscription immediately; its queued messages can still be read.
    pub(crate) fn unsubscribe(&self, sid: u64) {
        self.end_interest(sid, |framed| Command::Unsubscribe { sid, framed });
    }

    /// Ends a subscription after everything that the server has sent.
    pub(crate) fn drain_subscription(&self, sid: u64) {
        self.end_interest(sid, |framed| Command::DrainSubscription { sid, framed });
    }

    fn end_interest(&self, sid: u64, command: impl FnOnce(bool) -> Command) {
        let mut inner = self.inner();
        let framed = inner.outbox.admit_unsubscribe(sid);
        submit(inner, command(framed));
    }

    /// Refuses new subscriptions from now on; the first reason stays.
    pub(crate) fn refuse_subscriptions(&self, reason: EndReason) {
        self.inner().closed_reason.get_or_insert(reason);
    }

    /// Why new subscriptions are refused, if they are.
    pub(crate) fn closed_reason(&self) -> Option<EndReason> {
        self.inner().closed_reason.clone()
    }

    /// Adds a subscription and its SUB in one critical section, unless the client is ending.
    fn add_interest(
        &self,
        mut guard: MutexGuard<'_, Inner>,
        subject: Subject,
        (queue, handover): (Option<String>, Option<Handover>),
        sink: Sink,
    ) -> Result<u64, EndReason> {
        let inner = &mut *guard;
        if let Some(reason) = inner.closed_reason.clone() {
            // The call's arguments are dropped after unlocking.
            drop(guard);
            return Err(reason);
        }
        inner.next_sid += 1;
        let sid = inner.next_sid;
        if matches!(sink, Sink::Requests) {
            self.replies.store(sid, Ordering::Release);
        }
        let framed = inner.outbox.admit_subscribe(subject.as_bytes(), queue.as_deref().map(str::as_bytes), sid);
        submit(guard, Command::Subscribe { sid, subject, queue, handover, sink, framed });
        Ok(sid)
    }

    /// Wakes the task. If it is running, it checks once more before it parks.
    pub(crate) fn wake(&self) {
        let mut inner = self.inner();
        inner.nudged = true;
        unlock_and_wake(inner);
    }
}

/// Submits a command, unlocks and wakes the task. After the end of the client the task takes no more commands: the
/// command is dropped, which reports the end to its caller.
fn submit(mut inner: MutexGuard<'_, Inner>, command: Command) {
    let weight = command.weight();
    inner.unyielded += weight;
    let refused = if inner.completed.is_some() {
        Some(command)
    } else {
        match command.replace(inner.commands.last_mut()) {
            Ok(superfluous) => Some(superfluous),
            Err(command) => {
                inner.command_bytes += weight;
                inner.commands.push(command);
                None
            }
        }
    };
    unlock_and_wake(inner);
    drop(refused);
}

/// Unlocks, and then wakes the task if it is parked.
fn unlock_and_wake(mut inner: MutexGuard<'_, Inner>) {
    let waker = inner.wake_for_commands();
    drop(inner);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Inner {
    #[inline(always)]
    fn admit(&mut self, frame: &Frame<'_>, over_mark: bool) -> Result<u64, Denied> {
        let size = frame.headers.map_or(0, <[u8]>::len) + frame.payload.len();
        if size > self.max_payload {
            return Err(Denied::MaxPayload { size, limit: self.max_payload });
        }
        if frame.headers.is_some() && !self.headers {
            return Err(Denied::NoHeaders);
        }
        match self.outbox.admit(frame, over_mark) {
            Ok(sequence) => Ok(sequence),
            Err(refusal) => Err(self.denied(refusal)),
        }
    }

    #[cold]
    fn denied(&self, refusal: Refusal) -> Denied {
        match (refusal, &self.closed_reason) {
            (Refusal::Shut, Some(reason)) => Denied::Ended(Box::new(reason.clone())),
            (Refusal::Shut, None) => {
                Denied::Ended(Box::new(EndReason::GaveUp(self.last_error.clone().unwrap_or(Cause::NoServers))))
            }
            (refusal, _) => Denied::Outbox(refusal),
        }
    }

    fn learn(&mut self, engine: &Engine<Sink>) {
        self.ledger = engine.ledger(self.outbox.accepted());
        self.round_trip = engine.round_trip();
        let news = engine.info().filter(|info| self.info.as_ref().is_none_or(|known| !Arc::ptr_eq(known, info)));
        if let Some(info) = news {
            self.max_payload = info.max_payload();
            self.headers = info.headers;
            self.info = Some(info.clone());
        }
    }

    fn ledger_now(&self) -> Ledger {
        // Messages admitted or withdrawn since the last exchange are or were waiting, unless they were lost since.
        self.ledger.since(self.outbox.accepted(), &self.outbox.lost_since())
    }
}
