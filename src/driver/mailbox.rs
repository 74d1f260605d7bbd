//! The mailbox: the outbox and the commands behind one lock, and the wakers. Handles put in, the task takes out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::time::Sleep;

use super::deliver::Sink;
use super::inbox::Inbox;
use super::listeners::{Events, Listeners};
use super::lock;
use super::requests::{Requests, Ticket};
use super::room::Queue;
use super::settings::DriverSettings;
use super::statistics::Statistics;
use super::task::Task;
use crate::engine::pool::Server;
use crate::engine::{
    Cause, Config, EndReason, Engine, Facts, FlushFailure, Frame, Gate, Ledger, Outbox, Refusal, Status,
};
use crate::protocol::{Info, ServerAddr, Subject};

/// What all handles and the task share.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    pub(crate) requests: Arc<Requests>,
    pub(super) listeners: Listeners,
    statistics: Arc<Statistics>,
    pub(super) settings: DriverSettings,
    pub(super) status: watch::Sender<Status>,
    runtime: tokio::runtime::Handle,
}

/// What the lock guards.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) outbox: Outbox,
    pub(super) room: Queue,
    commands: Vec<Command>,
    parked: Parked,
    task: Option<Waker>,
    next_sid: u64,
    replies: Option<u64>,
    /// As of the last exchange; what was admitted since waits.
    ledger: Ledger,
    info: Option<Arc<Info>>,
    max_payload: usize,
    headers: bool,
    server: Option<String>,
    last_error: Option<Cause>,
    round_trip: Option<Duration>,
    /// No new subscription, and why.
    barred: Option<EndReason>,
    /// Whether everything ended in order; set with the end.
    completed: Option<bool>,
    /// Messages that were received and not read at the end.
    undelivered: u64,
    /// Bytes admitted since a publisher yielded last.
    unyielded: usize,
    /// Messages refused since then.
    refused: usize,
}

/// What the task, when it is parked, wants to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parked {
    /// It runs, and will look before it parks.
    No,
    /// Commands only: the transport is busy with what it has.
    ForCommands,
    /// Commands and messages.
    ForAll,
}

/// What a user wants of the engine. `framed`: the frame is in the outbox already.
#[derive(Debug)]
pub(crate) enum Command {
    Connect,
    Subscribe {
        sid: u64,
        subject: Subject,
        queue: Option<String>,
        sink: Sink,
        framed: bool,
    },
    Unsubscribe {
        sid: u64,
        framed: bool,
    },
    UnsubscribeAfter {
        sid: u64,
        max: u64,
    },
    DrainSubscription {
        sid: u64,
        framed: bool,
    },
    /// The consumer has read a draining subscription to its end.
    Finished {
        sid: u64,
    },
    Flush {
        seen: u64,
        done: oneshot::Sender<Result<(), FlushFailure>>,
    },
    ForceReconnect,
    SetPool(Vec<ServerAddr>),
    Pool(oneshot::Sender<Vec<Server>>),
    Drain {
        within: Duration,
    },
    Close,
}

/// A message to publish, with what is checked under the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publish<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) patience: Patience,
}

/// What a publisher can do when it should not go on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Let others run, and ask again.
    Yield,
    /// Nothing.
    Never,
    /// Nothing, and it was promised room: a mark that was reached since does not count.
    Insist,
}

/// Why a message was not admitted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Denied {
    /// Others must run first: yield and ask again.
    Yield,
    /// The outbox says no.
    Outbox(Refusal),
    /// Headers and payload exceed the server's limit.
    MaxPayload { size: usize, limit: usize },
    /// The server can't take headers.
    NoHeaders,
    /// The client has ended, or has given up. Boxed, so that every publish's result is small.
    Ended(Box<EndReason>),
}

/// A publisher that is never made to wait yields after so many bytes: on a current-thread runtime the task would not
/// run otherwise (DECISIONS D11, seen).
const YIELD_BYTES: usize = 512 * 1024;

/// The same after so many refusals.
const YIELD_REFUSALS: usize = 256;

/// Waiters woken at once; each that finds room wakes the next.
const WAKE_AT_ONCE: usize = 16;

/// Until a server says otherwise (the server's `MAX_PAYLOAD_SIZE`).
const DEFAULT_MAX_PAYLOAD: usize = 1024 * 1024;

/// Keeps the connection alive: clients, subscribers and requests share one, and dropping the last closes.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.bar(EndReason::Closed);
        self.shared.command(Command::Close);
    }
}

/// Starts the task of a new client on the current runtime. It does nothing until [`Command::Connect`].
pub(crate) fn spawn(config: Config, servers: Vec<ServerAddr>, settings: DriverSettings, seed: u64) -> Arc<Handle> {
    let shared = Arc::new(Shared::new(settings));
    let engine = Engine::new(config, servers, seed);
    tokio::spawn(Task::new(shared.clone(), engine).run());
    Arc::new(Handle { shared })
}

impl Shared {
    fn new(settings: DriverSettings) -> Shared {
        Shared {
            inner: Mutex::new(Inner {
                outbox: Outbox::new(settings.outbox_cap),
                room: Queue::default(),
                commands: Vec::new(),
                parked: Parked::No,
                task: None,
                next_sid: 0,
                replies: None,
                ledger: Ledger::default(),
                info: None,
                max_payload: DEFAULT_MAX_PAYLOAD,
                headers: true,
                server: None,
                last_error: None,
                round_trip: None,
                barred: None,
                completed: None,
                undelivered: 0,
                unyielded: 0,
                refused: 0,
            }),
            requests: Arc::default(),
            listeners: Listeners::default(),
            statistics: Arc::default(),
            settings,
            status: watch::Sender::new(Status::Disconnected),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    #[inline(always)]
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    // What handles do.

    /// Admits a message or says why not. `registered` is told its sequence number in the same critical section.
    #[inline(always)]
    pub(crate) fn publish(&self, publish: &Publish<'_>, registered: impl FnOnce(u64)) -> Result<(), Denied> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        if publish.patience == Patience::Yield && (inner.unyielded >= YIELD_BYTES || inner.refused >= YIELD_REFUSALS) {
            inner.unyielded = 0;
            inner.refused = 0;
            return Err(Denied::Yield);
        }
        let before = inner.outbox.pending();
        match inner.admit(&publish.frame, publish.patience == Patience::Insist) {
            Ok(sequence) => {
                inner.unyielded += inner.outbox.pending() - before;
                registered(sequence);
                let task = inner.wake_for_messages();
                let next = if !inner.room.is_empty() && inner.outbox.has_room() { inner.room.pop() } else { None };
                drop(guard);
                if let Some(task) = task {
                    task.wake();
                }
                if let Some(next) = next {
                    next.wake();
                }
                Ok(())
            }
            Err(denied) => {
                inner.refused += 1;
                Err(denied)
            }
        }
    }

    /// Puts a command in line.
    pub(crate) fn command(&self, command: Command) {
        let mut inner = self.inner();
        if inner.completed.is_some() {
            // Nobody will take it. Dropping it tells whoever waits for an answer.
            drop(inner);
            drop(command);
            return;
        }
        inner.commands.push(command);
        let waker = inner.wake_for_commands();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Makes a subscription.
    pub(crate) fn subscribe(
        &self,
        subject: Subject,
        queue: Option<String>,
        inbox: Arc<Inbox>,
    ) -> Result<u64, EndReason> {
        self.inner_subscribe(|inner| {
            inner.next_sid += 1;
            Ok((inner.next_sid, subject, queue, Sink::Inbox(inbox)))
        })
    }

    /// Makes the subscription for replies, unless it is there.
    pub(crate) fn subscribe_replies(&self, subject: impl FnOnce() -> Subject) -> Result<(), EndReason> {
        let known = self.inner().replies.is_some();
        if known {
            return Ok(());
        }
        let subject = subject();
        self.inner_subscribe(|inner| {
            if inner.replies.is_some() {
                return Err(EndReason::Unsubscribed);
            }
            inner.next_sid += 1;
            inner.replies = Some(inner.next_sid);
            Ok((inner.next_sid, subject, None, Sink::Requests(self.requests.clone())))
        })
        .map(drop)
        // Another request was first.
        .or_else(|reason| if reason == EndReason::Unsubscribed { Ok(()) } else { Err(reason) })
    }

    fn inner_subscribe(
        &self,
        make: impl FnOnce(&mut Inner) -> Result<(u64, Subject, Option<String>, Sink), EndReason>,
    ) -> Result<u64, EndReason> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        if let Some(reason) = &inner.barred {
            return Err(reason.clone());
        }
        let (sid, subject, queue, sink) = make(inner)?;
        let framed = inner.outbox.admit_subscribe(subject.as_bytes(), queue.as_deref().map(str::as_bytes), sid);
        inner.commands.push(Command::Subscribe { sid, subject, queue, sink, framed });
        let waker = inner.wake_for_commands();
        drop(guard);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(sid)
    }

    /// Forgets a subscription at once; what was queued for it can still be read.
    pub(crate) fn unsubscribe(&self, sid: u64) {
        self.end_interest(sid, |framed| Command::Unsubscribe { sid, framed });
    }

    /// Ends a subscription behind what the server has sent.
    pub(crate) fn drain_subscription(&self, sid: u64) {
        self.end_interest(sid, |framed| Command::DrainSubscription { sid, framed });
    }

    fn end_interest(&self, sid: u64, command: impl FnOnce(bool) -> Command) {
        let mut inner = self.inner();
        let framed = inner.outbox.admit_unsubscribe(sid);
        inner.commands.push(command(framed));
        let waker = inner.wake_for_commands();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// No subscription from now on; the first reason stays.
    pub(crate) fn bar(&self, reason: EndReason) {
        self.inner().barred.get_or_insert(reason);
    }

    /// Why no subscription can be made any more, if so.
    pub(crate) fn barred(&self) -> Option<EndReason> {
        self.inner().barred.clone()
    }

    /// Wakes the task, which looks around.
    pub(crate) fn wake(&self) {
        let waker = self.inner().wake_for_commands();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Where every accepted message is, and how many bytes wait.
    pub(crate) fn ledger(&self) -> (Ledger, usize) {
        let inner = self.inner();
        (inner.ledger_now(), inner.outbox.pending())
    }

    /// Messages that were received and not read when the client ended.
    pub(crate) fn undelivered(&self) -> u64 {
        self.inner().undelivered
    }

    /// Whether there ever was a connection.
    pub(crate) fn was_connected(&self) -> bool {
        self.statistics.connects.load(portable_atomic::Ordering::Relaxed) > 0
    }

    /// A timer of the runtime that drives the connection, for whoever polls it.
    pub(crate) fn timer(&self, at: Instant) -> Pin<Box<Sleep>> {
        let _runtime = self.runtime.enter();
        Box::pin(tokio::time::sleep_until(at.into()))
    }

    pub(crate) fn info(&self) -> Option<Arc<Info>> {
        self.inner().info.clone()
    }

    pub(crate) fn max_payload(&self) -> usize {
        self.inner().max_payload
    }

    pub(crate) fn server(&self) -> Option<String> {
        self.inner().server.clone()
    }

    pub(crate) fn last_error(&self) -> Option<Cause> {
        self.inner().last_error.clone()
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.inner().round_trip
    }

    /// Once closed: whether everything that was asked for was done.
    pub(crate) fn completed(&self) -> Option<bool> {
        self.inner().completed
    }

    pub(crate) fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn events(&self) -> Events {
        self.listeners.listen(self.completed().is_some())
    }

    /// The counters, the number of accepted messages brought up to date.
    pub(crate) fn statistics(&self) -> Arc<Statistics> {
        let accepted = self.inner().outbox.accepted();
        self.statistics.out_messages.store(accepted, portable_atomic::Ordering::Relaxed);
        self.statistics.clone()
    }

    /// Takes a held message out again, if it is still held.
    fn withdraw(&self, sequence: u64) {
        let mut gone = Vec::new();
        self.inner().outbox.cancel(sequence, &mut gone);
        // Dropped here, where no lock is held.
        drop(gone);
    }

    // What the task does.

    pub(super) fn counters(&self) -> &Statistics {
        &self.statistics
    }

    /// Takes the commands, and lets the engine settle with the outbox, in one critical section.
    pub(super) fn exchange(
        &self,
        engine: &mut Engine<Sink>,
        commands: &mut Vec<Command>,
        wakers: &mut Vec<Waker>,
        now: Instant,
    ) {
        let requests_waiting = engine.status() == Status::Draining && self.requests.waiting() > 0;
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.parked = Parked::No;
        std::mem::swap(commands, &mut inner.commands);
        let gate = inner.outbox.gate();
        let facts = Facts { commands_waiting: !commands.is_empty(), requests_waiting };
        engine.exchange(&mut inner.outbox, facts, now);
        if inner.outbox.gate() != gate {
            wakers.extend(inner.room.take());
        } else if !inner.room.is_empty() && inner.outbox.has_room() {
            wakers.extend(std::iter::from_fn(|| inner.room.pop()).take(WAKE_AT_ONCE));
        }
        inner.learn(engine);
    }

    /// Makes public what the engine knows, so that whoever is told of it next finds it so.
    pub(super) fn learn(&self, engine: &Engine<Sink>) {
        self.inner().learn(engine);
    }

    /// Parks the task unless there is something to do for it. `busy`: the transport has not taken everything yet, so
    /// more messages need not wake the task. Returns the waker that it replaces, to be dropped outside.
    pub(super) fn park(&self, waker: &Waker, busy: bool, carries: bool) -> Result<Option<Waker>, ()> {
        let mut inner = self.inner();
        let work = !inner.commands.is_empty() || (carries && !busy && !inner.outbox.is_empty());
        if work {
            return Err(());
        }
        inner.parked = if busy { Parked::ForCommands } else { Parked::ForAll };
        Ok(match &inner.task {
            Some(known) if known.will_wake(waker) => None,
            _ => inner.task.replace(waker.clone()),
        })
    }

    /// Makes the state public.
    pub(super) fn publish_state(&self, status: Status, server: Option<String>, last_error: Option<Cause>) {
        {
            let mut inner = self.inner();
            inner.server = server;
            inner.last_error = last_error;
        }
        self.status.send_if_modified(|known| std::mem::replace(known, status) != status);
    }

    /// The subscription for replies is gone; the next request makes another.
    pub(super) fn forget_replies(&self) {
        self.inner().replies = None;
    }

    /// The task ends: nothing is admitted any more, and nobody waits for ever.
    pub(super) fn end(&self, reason: &EndReason, completed: bool, undelivered: u64) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.barred.get_or_insert(reason.clone());
        inner.completed.get_or_insert(completed);
        inner.undelivered = undelivered;
        let mut wakers: Vec<Waker> = inner.room.take().collect();
        let commands = std::mem::take(&mut inner.commands);
        let task = inner.task.take();
        inner.outbox.shut();
        drop(guard);
        // Dropping the commands tells those who wait for an answer that there is none.
        drop(commands);
        drop(task);
        self.requests.end(reason, &mut wakers);
        for waker in wakers {
            waker.wake();
        }
    }

    /// Gives unused memory back.
    pub(super) fn shrink(&self) {
        let mut inner = self.inner();
        inner.outbox.shrink();
        inner.commands.shrink_to(4);
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
        self.outbox.admit(frame, over_mark).map_err(|refusal| match (refusal, &self.barred) {
            (Refusal::Shut, Some(reason)) => Denied::Ended(Box::new(reason.clone())),
            (Refusal::Shut, None) => {
                Denied::Ended(Box::new(EndReason::GaveUp(self.last_error.clone().unwrap_or(Cause::NoServers))))
            }
            (refusal, _) => Denied::Outbox(refusal),
        })
    }

    #[inline(always)]
    fn wake_for_messages(&mut self) -> Option<Waker> {
        if self.parked == Parked::ForAll && self.outbox.gate() == Gate::Open { self.unpark() } else { None }
    }

    fn wake_for_commands(&mut self) -> Option<Waker> {
        if self.parked == Parked::No { None } else { self.unpark() }
    }

    fn unpark(&mut self) -> Option<Waker> {
        self.parked = Parked::No;
        self.task.clone()
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
        let accepted = self.outbox.accepted();
        // What was admitted or withdrawn since the last exchange waits, or waited.
        Ledger { accepted, waiting: (self.ledger.waiting + accepted) - self.ledger.accepted, ..self.ledger }
    }
}

/// A request that is waited for; dropping it forgets the request.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) handle: Arc<Handle>,
    pub(crate) ticket: Ticket,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let shared = &self.handle.shared;
        let released = shared.requests.release(self.ticket);
        if let Some(sequence) = released.unanswered {
            // If it was not sent yet, nobody needs it any more.
            shared.withdraw(sequence);
        }
        if released.last && shared.barred().is_some() {
            // A drain may be waiting for the last request.
            shared.wake();
        }
    }
}
