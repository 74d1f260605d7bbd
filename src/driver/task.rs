//! The connection's task: one loop, one `poll_fn`. It carries out the engine's decisions, and waits for all inputs
//! together.

mod asking;
mod effects;
mod ending;
mod receive;

use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::time::Sleep;

use super::buffers::Buffers;
use super::chooser::PendingChoice;
use super::command::Command;
use super::deliver::{Delivered, Pause, Sink, Sorter};
use super::flushes::Flushes;
use super::guard::{guarded, wake};
use super::link::Link;
use super::mailbox::Shared;
use super::statistics::Statistics;
use super::transport::{Transport, WriteFailed, cause};
use super::unread::UnreadInboxes;
use crate::engine::time::after;
use crate::engine::{Engine, Interest, Status};

/// The task of one client. If it is dropped before its end, with its runtime, it ends all waiting calls and streams.
pub(super) struct Task {
    shared: Arc<Shared>,
    engine: Engine<Sink>,
    /// The present connection, and a second one while a planned move is prepared.
    links: Vec<Link>,
    /// The pending question for the user's callbacks.
    asked: Option<PendingChoice>,
    /// Connections that were closed properly: read to their end, for a while.
    leaving: Vec<(Transport, Instant)>,
    buffers: Buffers,
    /// The wanted size of the read buffer; it grows when reads fill it.
    want: usize,
    sorter: Sorter,
    pause: Option<Pause>,
    /// The number of this poll. Others run only between two polls.
    turn: u64,
    timer: Pin<Box<Sleep>>,
    alarm: Alarm,
    flushes: Flushes,
    commands: Vec<Command>,
    delivered: Delivered,
    shown: (Status, u64),
    /// When bytes last moved; `None`: memory was freed since.
    moved: Option<Instant>,
    /// Inboxes with unread messages, whose number is reported at the end.
    unread: UnreadInboxes,
    ended: bool,
    /// Operations handled in this poll.
    work: usize,
    /// Whether the runtime has a single thread.
    single_threaded: bool,
}

/// The state of the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alarm {
    Off,
    /// It fires then; it is never moved later before it has fired.
    Set(Instant),
    /// It has fired, so the runtime has polled the sockets since that deadline. Bytes that have arrived by then are
    /// read before a peer is considered dead.
    Fired,
}

/// Rounds per poll; then the task yields.
const ROUNDS: usize = 16;

/// Operations other than messages that are handled in one poll; then the task yields. Each may cost a microsecond or
/// two, such as a server's error that is parsed, recorded and reported to every listener. Rounds bound bytes, and this
/// bounds work.
const WORK: usize = 512;

/// Parts of one write. Linux accepts up to 1,024; a chunk is 64 KiB, so 64 parts are more than a socket takes.
const PARTS: usize = 64;

/// The initial size of the read buffer.
const READ_MIN: usize = 4 * 1024;

/// The largest size of the read buffer.
pub(super) const READ_MAX: usize = 256 * 1024;

/// A properly closed connection is read to its end for at most this long (D7).
const LEAVING: Duration = Duration::from_secs(1);

/// A transport that has been full for this long, or for a quarter of the write timeout, is tried again. This costs
/// little, and shows progress on any line of more than some kilobytes a second within the default timeout.
const FULL: Duration = Duration::from_secs(1);

/// How many of a left peer's bytes are read and discarded at a time.
const DISCARDED: usize = 16 * 1024;

/// After this long without traffic, memory is freed (D28).
pub(super) const IDLE: Duration = Duration::from_secs(1);

impl Task {
    pub(super) fn new(shared: Arc<Shared>, engine: Engine<Sink>) -> Task {
        let want = shared.settings.read_buffer.clamp(READ_MIN, READ_MAX);
        let sorter = Sorter::new(shared.requests.clone(), shared.settings.inbox);
        Task {
            shared,
            engine,
            links: Vec::with_capacity(1),
            asked: None,
            leaving: Vec::new(),
            buffers: Buffers::default(),
            want,
            sorter,
            pause: None,
            turn: 0,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            alarm: Alarm::Off,
            flushes: Flushes::default(),
            commands: Vec::new(),
            delivered: Delivered::default(),
            shown: (Status::Disconnected, 0),
            moved: None,
            unread: UnreadInboxes::default(),
            ended: false,
            work: 0,
            single_threaded: tokio::runtime::Handle::current().metrics().num_workers() < 2,
        }
    }

    pub(super) async fn run(mut self) {
        // The loop bounds itself; with tokio's budget, reading could use up the budget of writing.
        tokio::task::unconstrained(poll_fn(|cx| self.poll(cx))).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.work = 0;
        self.turn += 1;
        for _ in 0..ROUNDS {
            let now = now();
            self.exchange(now);
            let mut moved = self.apply_commands(now);
            moved |= self.carry_out(now);
            moved |= self.poll_asked(cx, now);
            moved |= self.poll_permits(cx, now);
            moved |= self.poll_dial(cx, now);
            moved |= self.poll_credentials(cx, now);
            moved |= self.poll_read(cx, now);
            moved |= self.poll_write(cx, now);
            moved |= self.poll_leaving(cx, now);
            moved |= self.carry_out(now);
            if self.ended && self.leaving.is_empty() {
                return Poll::Ready(());
            }
            if moved {
                self.moved = Some(now);
            }
            moved |= self.poll_timer(cx, now);
            if !moved && !self.engine.wants_exchange() {
                let busy = self.engine.has_bytes();
                if let Ok(_old_waker) = self.shared.park(cx.waker(), busy, self.engine.loads()) {
                    return Poll::Pending;
                }
            }
            if self.work >= WORK {
                break;
            }
        }
        self.let_others_run(cx);
        Poll::Pending
    }

    /// Ends this poll's turn: wakes this task, but after others.
    fn let_others_run(&self, cx: &mut Context<'_>) {
        if self.single_threaded {
            // After sockets, timers and the future of `block_on` were polled: with a plain wake, this task would run 61
            // times before.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
        } else {
            // Another thread polls them, and may take this task over.
            cx.waker().wake_by_ref();
        }
    }

    fn exchange(&mut self, now: Instant) {
        self.shared.exchange(&mut self.engine, &mut self.commands, &mut self.delivered.wakers, now);
        drop(self.engine.take_garbage());
        self.wake_all();
    }

    fn wake_all(&mut self) {
        self.delivered.wakers.drain(..).for_each(wake);
    }

    fn apply_commands(&mut self, now: Instant) -> bool {
        if self.commands.is_empty() {
            return false;
        }
        let mut commands = std::mem::take(&mut self.commands);
        for command in commands.drain(..) {
            self.apply(command, now);
        }
        self.commands = commands;
        true
    }

    fn apply(&mut self, command: Command, now: Instant) {
        let engine = &mut self.engine;
        match command {
            Command::Connect => {
                engine.connect(now);
                self.shared.begin_buffering(engine);
            }
            Command::Subscribe { sid, subject, queue, handover, sink, framed } => {
                let interest = Interest {
                    subject: subject.as_bytes(),
                    queue: queue.as_deref().map(str::as_bytes),
                    purpose: sink.purpose(handover),
                };
                engine.subscribe(sid, interest, sink, framed);
            }
            Command::Unsubscribe { sid, framed } => engine.unsubscribe(sid, framed),
            Command::UnsubscribeAfter { sid, max } => engine.unsubscribe_after(sid, max),
            Command::DrainSubscription { sid, framed } => engine.drain_subscription(sid, framed),
            Command::LastTaken { sid } => engine.handle_last_taken(sid, now),
            Command::Finished { sid } => engine.handle_finished(sid),
            Command::Flush { seen, done } => {
                let token = self.flushes.add(done);
                engine.flush(token, seen);
                if self.flushes.forget_abandoned() {
                    engine.keep_flushes(|token| self.flushes.waits(token));
                }
            }
            Command::ForceReconnect => engine.force_reconnect(now),
            Command::SetPool(servers) => engine.set_server_pool(servers, now),
            Command::Pool(answer) => {
                // The caller may be gone.
                let servers = engine.pool().servers().to_vec();
                let _ = guarded("waker", || answer.send(servers).is_ok());
            }
            Command::Drain { within } => engine.drain(within, now),
            Command::Close => engine.close(now),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        let full = FULL.min(self.shared.settings.write_timeout / 4);
        for link in &mut self.links {
            let epoch = link.epoch;
            let asks = link.ask_again_at.is_some_and(|at| at <= now);
            let asked_before = std::mem::take(&mut link.ask_again_at).filter(|_| !asks);
            let Some(transport) = link.transport() else {
                continue;
            };
            if asks {
                transport.try_anyway();
            }
            let Some(flight) = self.engine.flight_of(epoch) else {
                // A lost connection is not flushed: what it did not take goes to the next one.
                let unflushed = transport.is_unflushed() && self.engine.is_live(epoch);
                moved |= unflushed && poll_flush(&mut self.engine, epoch, transport, cx, now);
                continue;
            };
            let mut parts = [IoSlice::new(&[]); PARTS];
            let mut count = 0;
            for (part, bytes) in parts.iter_mut().zip(flight.slices()) {
                *part = IoSlice::new(bytes);
                count += 1;
            }
            let outcome = transport.poll_write(cx, parts.get(..count).unwrap_or_default());
            let begun = transport.begun();
            let Poll::Ready(outcome) = outcome else {
                self.engine.handle_begun(epoch, begun);
                link.ask_again_at = asked_before.or_else(|| Some(after(now, full)));
                continue;
            };
            moved = true;
            match outcome {
                Ok(n) => {
                    Statistics::add(&self.shared.counters().out_bytes, n as u64);
                    self.engine.handle_taken(epoch, n, now);
                    self.engine.handle_begun(epoch, begun);
                }
                Err(WriteFailed { doubtful, error }) => {
                    if doubtful > 0 {
                        self.engine.handle_taken(epoch, doubtful, now);
                    }
                    self.engine.handle_write_failed(epoch, cause(error), now);
                }
            }
        }
        moved
    }

    /// Reads and discards what the peers of left connections still send: one read of each per round, so that a peer
    /// that never stops delays nothing else.
    fn poll_leaving(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        self.leaving.retain_mut(|(transport, until)| {
            if *until <= now {
                return false;
            }
            let mut discarded = BytesMut::with_capacity(DISCARDED);
            match transport.poll_rest(cx, &mut discarded) {
                Poll::Ready(Ok(0) | Err(_)) => false,
                Poll::Ready(Ok(_)) => {
                    moved = true;
                    true
                }
                Poll::Pending => true,
            }
        });
        moved
    }

    /// Sets the timer to the next deadline, and reports to the engine when it has come.
    ///
    /// It is not enough that the clock has passed a deadline: if the runtime was busy or the process was stopped, the
    /// peer's answer may be in the socket, unknown to the runtime. The runtime polls sockets before it fires timers, so
    /// a deadline has come when the timer has fired and one more round has read.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let pause = match &mut self.pause {
            Some(pause) => pause.deadline(),
            None => None,
        };
        let leaving = self.leaving.iter().map(|(_, until)| *until).min();
        let idle = self.moved.map(|moved| after(moved, IDLE));
        let full = self.links.iter().filter_map(|link| link.ask_again_at).min();
        let large = self.buffers.shrinks_at();
        let next = [self.engine.poll_timeout(), pause, leaving, idle, full, large].into_iter().flatten().min();
        let Some(next) = next else { return false };
        if idle.is_some_and(|idle| idle <= now) {
            self.shrink();
        } else if large.is_some_and(|large| large <= now) {
            self.buffers.shrink();
            self.links.iter_mut().for_each(|link| link.input.renew());
        }
        if self.alarm == Alarm::Fired {
            self.alarm = Alarm::Off;
            if next <= now {
                self.engine.handle_timeout(now);
                return true;
            }
        }
        if !matches!(self.alarm, Alarm::Set(at) if at <= next) {
            self.timer.as_mut().reset(next.into());
            self.alarm = Alarm::Set(next);
        }
        let fired = self.timer.as_mut().poll(cx).is_ready();
        if fired {
            self.alarm = Alarm::Fired;
        }
        fired
    }

    fn shrink(&mut self) {
        self.moved = None;
        self.shared.shrink();
        self.engine.shrink();
        self.sorter.shrink(&mut self.engine.subscriptions);
        self.delivered.shrink();
        self.buffers.shrink();
        self.want = self.shared.settings.read_buffer.clamp(READ_MIN, READ_MAX);
        for link in &mut self.links {
            link.shrink();
        }
        self.commands.shrink_to(4);
    }
}

/// A user's stream may buffer what it takes until it is flushed.
#[cold]
fn poll_flush(
    engine: &mut Engine<Sink>,
    epoch: u64,
    transport: &mut Transport,
    cx: &mut Context<'_>,
    now: Instant,
) -> bool {
    if let Poll::Ready(Err(error)) = transport.poll_flush(cx) {
        engine.handle_write_failed(epoch, cause(error), now);
        return true;
    }
    false
}

/// Tokio's clock, which tests can pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
