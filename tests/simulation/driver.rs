//! The model driver: the same round as the real one (`src/driver/task.rs`), with a parking place, short reads and
//! short writes, and users who meddle between its steps as other threads do.

use std::sync::Arc;
use std::time::Instant;

use nats_lifeline::engine::{Cause, Effect, Engine, ExchangeInput, Gate, Interest, Outbox, Purpose, Status};
use nats_lifeline::protocol::{Decoder, Info, Limits, ServerAddr};

use crate::conn::Conn;
use crate::content::SUBJECTS;
use crate::script::say;
use crate::users::Ending;
use crate::world::World;

/// In calm times pipes are so wide, in bytes.
pub(crate) const WIDE: u64 = 1 << 20;

/// What users want of the engine, on its way to the task.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Connect,
    Subscribe { sid: u64, subject: usize, queue: bool, framed: bool },
    Unsubscribe { sid: u64, framed: bool },
    UnsubscribeAfter { sid: u64, max: u64 },
    DrainSubscription { sid: u64, framed: bool },
    Finished { sid: u64 },
    Flush { token: u64, seen: u64 },
    CancelFlush { token: u64 },
    ForceReconnect,
    SetPool(Vec<ServerAddr>),
    Drain { within: std::time::Duration },
    Close,
}

/// Where a link has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// What comes of it is known to the network; `None`: nothing ever.
    Dialing(Option<(Instant, Option<usize>)>),
    Up(usize),
}

/// The present connection, or the one that is prepared for a move.
pub(crate) struct Link {
    pub(crate) epoch: u64,
    pub(crate) stream: Stream,
    pub(crate) decoder: Decoder,
    pub(crate) buf: Vec<u8>,
}

impl Link {
    fn dialing(epoch: u64, outcome: Option<(Instant, Option<usize>)>) -> Link {
        let decoder = Decoder::new(Limits::default());
        Link { epoch, stream: Stream::Dialing(outcome), decoder, buf: Vec::new() }
    }

    pub(crate) fn conn(&self) -> Option<usize> {
        match self.stream {
            Stream::Up(conn) => Some(conn),
            Stream::Dialing(_) => None,
        }
    }
}

/// What the parked task wants to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    No,
    ForCommands,
    ForAll,
}

pub(crate) struct Driver {
    pub(crate) engine: Engine<u64>,
    pub(crate) outbox: Outbox,
    pub(crate) commands: Vec<Command>,
    /// One, or two while a move is prepared.
    pub(crate) links: Vec<Link>,
    /// The connection that was the present one before the last exchange: if one is settled in that, it is this.
    pub(crate) last: Option<usize>,
    /// Whether it was lost before that exchange.
    pub(crate) is_lost: bool,
    pub(crate) parked: Parked,
    /// When the parked task is woken by its timer.
    pub(crate) armed: Option<Instant>,
    /// Requests that wait for replies: a drain waits for them.
    pub(crate) requests: u32,
    info: Option<Arc<Info>>,
    /// No connection was sought in the last exchange: the gate is shut until the next.
    pub(crate) idle_at_exchange: bool,
    pub(crate) ended: bool,
}

impl Driver {
    pub(crate) fn new(engine: Engine<u64>, outbox: Outbox) -> Driver {
        Driver {
            engine,
            outbox,
            commands: Vec::new(),
            links: Vec::new(),
            last: None,
            is_lost: false,
            parked: Parked::No,
            armed: None,
            requests: 0,
            info: None,
            idle_at_exchange: true,
            ended: false,
        }
    }

    pub(crate) fn wake(&mut self) {
        self.parked = Parked::No;
    }

    /// The limits that publishers know of.
    pub(crate) fn limits(&self) -> (usize, bool) {
        self.info.as_ref().map_or((1 << 20, true), |info| (info.max_payload(), info.headers))
    }

    fn learn(&mut self) {
        self.info = self.engine.info().cloned();
    }

    /// The present connection.
    pub(crate) fn conn(&self) -> Option<usize> {
        let present = self.engine.epoch();
        self.links.iter().find(|link| link.epoch == present)?.conn()
    }
}

impl World {
    /// Whether the task has anything to run for.
    pub(crate) fn is_woken(&self) -> bool {
        let driver = &self.driver;
        if driver.ended {
            return false;
        }
        let network = driver.links.iter().any(|link| match link.stream {
            Stream::Dialing(outcome) => outcome.is_some_and(|(at, _)| at <= self.now),
            Stream::Up(conn) => {
                let conn = &self.conns[conn];
                conn.readable() || (driver.engine.flight_of(link.epoch).is_some() && conn.room() != Some(0))
            }
        });
        driver.parked == Parked::No || network || driver.armed.is_some_and(|at| at <= self.now)
    }

    /// One round. Returns whether another one follows immediately.
    pub(crate) fn round(&mut self) -> bool {
        self.tally.rounds += 1;
        let now = self.now;
        self.driver.parked = Parked::No;
        let commands = std::mem::take(&mut self.driver.commands);
        // What the engine knows of the present connection so far is settled in this exchange.
        let present = self.driver.engine.epoch();
        self.driver.last = self.conn_of(present);
        self.driver.is_lost = self.driver.last.is_some() && !self.driver.engine.is_live(present);
        let input =
            ExchangeInput { commands_waiting: !commands.is_empty(), requests_waiting: self.driver.requests > 0 };
        let driver = &mut self.driver;
        driver.engine.exchange(&mut driver.outbox, input, now);
        driver.idle_at_exchange = driver.engine.status() == Status::Disconnected;
        driver.learn();
        drop(driver.engine.take_garbage());
        self.check_exchange();
        self.meddle();
        let mut moved = !commands.is_empty();
        for command in commands {
            self.apply(command);
        }
        self.carry_out();
        self.meddle();
        moved |= self.poll_dial();
        moved |= self.poll_read();
        self.meddle();
        moved |= self.poll_write();
        self.meddle();
        self.carry_out();
        self.check_round();
        if self.driver.ended {
            return false;
        }
        moved |= self.poll_timer();
        self.check_stalls();
        let driver = &mut self.driver;
        if moved || driver.engine.wants_exchange() {
            return true;
        }
        let busy = driver.engine.has_bytes();
        let work = !driver.commands.is_empty() || (driver.engine.loads() && !busy && !driver.outbox.is_empty());
        if work {
            return true;
        }
        driver.parked = if busy { Parked::ForCommands } else { Parked::ForAll };
        false
    }

    fn apply(&mut self, command: Command) {
        say!(self, "engine: {command:?}");
        let now = self.now;
        let engine = &mut self.driver.engine;
        match command {
            Command::Connect => engine.connect(now),
            Command::Subscribe { sid, subject, queue, framed } => {
                let queue = queue.then_some(self.plan.group.as_bytes());
                let interest =
                    Interest { subject: SUBJECTS[subject].as_bytes(), queue, purpose: Purpose::Messages(None) };
                engine.subscribe(sid, interest, sid, framed);
            }
            Command::Unsubscribe { sid, framed } => engine.unsubscribe(sid, framed),
            Command::UnsubscribeAfter { sid, max } => {
                self.limit(sid, max);
                self.driver.engine.unsubscribe_after(sid, max);
            }
            Command::DrainSubscription { sid, framed } => {
                engine.drain_subscription(sid, framed);
                let conns = self.conns.len();
                self.stream(sid).drained_at.get_or_insert(conns);
            }
            Command::Finished { sid } => engine.handle_finished(sid),
            Command::Flush { token, seen } => {
                let asked = self.driver.conn().map(|conn| (conn, self.conns[conn].wire.pings.len()));
                if let Some(flush) = self.books.flushes.get_mut(&token) {
                    flush.asked = asked;
                }
                self.driver.engine.flush(token, seen);
            }
            Command::CancelFlush { token } => engine.keep_flushes(|other| other != token),
            Command::ForceReconnect => engine.force_reconnect(now),
            Command::SetPool(servers) => engine.set_server_pool(servers, now),
            Command::Drain { within } => {
                engine.drain(within, now);
                let conns = self.conns.len();
                self.streams.iter_mut().for_each(|stream| _ = stream.drained_at.get_or_insert(conns));
            }
            Command::Close => engine.close(now),
        }
    }

    fn carry_out(&mut self) {
        let mut learnt = false;
        while let Some(effect) = self.driver.engine.poll_effect() {
            if !std::mem::replace(&mut learnt, true) {
                self.driver.learn();
            }
            say!(self, "effect: {effect:?}");
            // Commands of the last moment are answered after the end.
            let late = matches!(effect, Effect::Ended { .. } | Effect::Complete { .. });
            assert!(self.books.closed.is_none() || late, "I8: {effect:?} after the end");
            match effect {
                Effect::Choose { .. } => unreachable!("no callbacks are set"),
                Effect::Dial { epoch, addr, .. } => {
                    assert!(self.driver.links.len() < 2, "the present connection, and one for a move");
                    let outcome = self.dial(&addr);
                    self.driver.links.push(Link::dialing(epoch, outcome));
                }
                Effect::Upgrade { .. } => unreachable!("no server and no option asks for TLS"),
                Effect::Authenticate { .. } => unreachable!("no credentials are asked for"),
                Effect::DialNext { .. } => unreachable!("no server has a name with several addresses"),
                Effect::StopDialing { epoch } => self.driver.links.retain(|link| link.epoch != epoch),
                Effect::Close { epoch, how } => {
                    let at = self.driver.links.iter().position(|link| link.epoch == epoch);
                    let link = self.driver.links.remove(at.expect("a connection is closed that is not there"));
                    self.leave(link.conn().expect("a connection is closed that is not up"), how);
                }
                Effect::Emit(event) => self.hear(&event),
                Effect::Complete { token, outcome } => {
                    let conn = self.driver.conn();
                    let answered = conn.map_or(0, |conn| self.conns[conn].pongs);
                    self.books.complete(token, &outcome, conn, answered);
                }
                Effect::Draining { sid } => self.finish_later(sid),
                Effect::Ended { handle, reason } => self.end_stream(handle, Ending::Said(reason)),
                Effect::Dropped { sequences } => self.books.dropped(sequences),
                Effect::Refusing { names, after, through } => self.books.refusing(&names, after, through),
                Effect::Refused { names, after, again, through } => self.books.refused(&names, after, again, through),
                Effect::Confirmed { through } => self.books.publishers_confirmed(through),
                Effect::HandedOver { after, through, in_doubt } => self.settle(after, through, in_doubt),
                Effect::Closed { completed, .. } => {
                    self.driver.ended = true;
                    // Dropping a command reports the end to its caller.
                    for command in std::mem::take(&mut self.driver.commands) {
                        if let Command::Flush { token, .. } = command {
                            self.books.flushes.remove(&token);
                        }
                    }
                    self.check_completed(completed);
                }
            }
        }
        self.books.check_named();
    }

    fn poll_dial(&mut self) -> bool {
        let mut moved = false;
        for at in (0..self.driver.links.len()).rev() {
            let Link { epoch, stream: Stream::Dialing(Some((due, outcome))), .. } = self.driver.links[at] else {
                continue;
            };
            if due > self.now {
                continue;
            }
            moved = true;
            match outcome.filter(|node| self.nodes[*node].up) {
                Some(node) => {
                    self.driver.links[at].stream = Stream::Up(self.accept_dial(node, epoch));
                    self.driver.engine.handle_dialed(epoch, 0, self.now);
                }
                None => {
                    self.driver.links.remove(at);
                    let refused = Cause::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
                    self.driver.engine.handle_dial_failed(epoch, refused, self.now);
                }
            }
        }
        moved
    }

    fn accept_dial(&mut self, node: usize, epoch: u64) -> usize {
        let (mood, transport) = (self.mood(), self.plan.transport(&mut self.rng));
        let conn = self.conns.len();
        say!(self, "connection {conn} to {}, {mood:?}, {transport:?}", self.nodes[node].name);
        let window = if self.meddling { self.plan.window } else { WIDE };
        self.conns.push(Conn::new(node, mood, epoch, transport, window, self.nodes[node].headers));
        self.conns[conn].was_beside = epoch != self.driver.engine.epoch();
        self.active.push(conn);
        self.tally.connections += 1;
        conn
    }

    fn poll_write(&mut self) -> bool {
        let links = self.driver.links.iter().filter_map(|link| Some((link.epoch, link.conn()?)));
        let links: Vec<_> = links.collect();
        links.into_iter().fold(false, |moved, (epoch, conn)| self.write_to(epoch, conn) || moved)
    }

    fn poll_timer(&mut self) -> bool {
        let next = self.driver.engine.poll_timeout();
        if next.is_some_and(|next| next <= self.now) {
            say!(self, "a deadline has come");
            self.driver.engine.handle_timeout(self.now);
            return true;
        }
        self.driver.armed = next;
        false
    }

    /// Whether messages are admitted without a wait, and the task must be woken for them.
    pub(crate) fn wake_for_messages(&mut self) {
        if self.driver.parked == Parked::ForAll && self.driver.outbox.gate() == Gate::Open {
            self.driver.wake();
        }
    }

    pub(crate) fn command(&mut self, command: Command) {
        if self.driver.ended {
            return;
        }
        self.driver.commands.push(command);
        self.driver.wake();
    }

    pub(crate) fn status(&self) -> Status {
        self.driver.engine.status()
    }
}
