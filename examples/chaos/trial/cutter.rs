//! Faults on the way to one server: a proxy that cuts, freezes, throttles, splits and refuses.

use std::time::Duration;

use nats_lifeline::Client;

use super::dice::Dice;
use super::leaving::Leaving;
use crate::support::{Cut, Direction, Proxy, Server};

const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// How long to wait for the client to notice, or for a byte offset to be reached.
const PATIENCE: Duration = Duration::from_secs(6);

/// The faults, and their names in the account.
#[derive(Clone, Copy, Debug)]
enum Strike {
    Byte,
    Now,
    Twice,
    HangUp,
    Freeze,
    LongFreeze,
    Throttle,
    Split,
    Refuse,
    Silence,
}

const STRIKES: [(u64, Strike); 10] = [
    (30, Strike::Byte),
    (8, Strike::Now),
    (12, Strike::Twice),
    (12, Strike::HangUp),
    (12, Strike::Freeze),
    (4, Strike::LongFreeze),
    (10, Strike::Throttle),
    (8, Strike::Split),
    (7, Strike::Refuse),
    (5, Strike::Silence),
];

pub(crate) struct Cutter {
    server: Server,
    proxy: Proxy,
    leaving: Leaving,
    has_begun: bool,
}

impl Cutter {
    pub(crate) async fn start() -> Cutter {
        let server = Server::start().await;
        let leaving = Leaving::default();
        let proxy = Proxy::start_watched(server.port(), leaving.watch()).await;
        proxy.forget();
        proxy.one_at_a_time();
        proxy.narrow();
        Cutter { server, proxy, leaving, has_begun: false }
    }

    /// The addresses for the attacked client and for the others.
    pub(crate) fn exposed(&self) -> String {
        self.proxy.url()
    }

    pub(crate) fn sheltered(&self) -> String {
        self.server.url()
    }

    /// The messages that the attacked client has sent.
    pub(crate) fn leaving(&self) -> &Leaving {
        &self.leaving
    }

    /// Injects one fault (the first is a plain cut), waits for its effect, and returns its name.
    pub(crate) async fn strike(&mut self, dice: &mut Dice, victim: &Client) -> &'static str {
        let how = dice.pick(&[Cut::Fin, Cut::Rst]);
        let direction = dice.pick(&BOTH);
        let strike = if std::mem::replace(&mut self.has_begun, true) { dice.weighted(&STRIKES) } else { Strike::Now };
        match strike {
            Strike::Byte => {
                self.cut_at_some_byte(dice, victim, how).await;
                "cut at a byte"
            }
            Strike::Now => {
                self.proxy.cut(how);
                "cut"
            }
            Strike::Twice => {
                // The second cut is within the handshake, the replay or the buffered messages.
                let bytes = match direction {
                    Direction::ToServer => dice.pick(&[400, 2_000, 100_000]),
                    Direction::ToClient => 600,
                };
                let losses = losses(victim);
                self.proxy.cut_at(direction, dice.between(1, bytes), how);
                self.proxy.cut(how);
                // If the second cut comes before a connection is made, it is not a loss.
                wait(Duration::from_millis(1_500), || losses_since(victim, losses) > 1).await;
                "cut, and again soon"
            }
            Strike::HangUp => {
                // Bytes taken by then arrive. If the line is full, this ends within a frame, or between two frames of a
                // write.
                if dice.percent(75) {
                    self.proxy.throttle(Direction::ToServer, Some(100_000));
                    wait(PATIENCE / 3, || victim.stats().pending_bytes > 100_000).await;
                }
                let losses = losses(victim);
                self.proxy.hang_up();
                wait(PATIENCE, || losses_since(victim, losses) > 0).await;
                self.proxy.throttle(Direction::ToServer, None);
                "hung up on"
            }
            Strike::Freeze => {
                self.proxy.freeze(direction);
                tokio::time::sleep(dice.millis(50, 1_500)).await;
                if dice.percent(50) {
                    self.proxy.cut(how);
                }
                self.proxy.unfreeze(direction);
                "frozen"
            }
            Strike::LongFreeze => {
                let losses = losses(victim);
                self.proxy.freeze(direction);
                wait(PATIENCE, || losses_since(victim, losses) > 0).await;
                tokio::time::sleep(dice.millis(0, 500)).await;
                self.proxy.cut(Cut::Rst);
                self.proxy.unfreeze(direction);
                "frozen until noticed"
            }
            Strike::Throttle => {
                self.proxy.throttle(direction, Some(dice.between(20_000, 2_000_000)));
                self.rest_or_cut(dice, direction, how).await;
                self.proxy.throttle(direction, None);
                "throttled"
            }
            Strike::Split => {
                self.proxy.one_byte_writes(direction, true);
                self.rest_or_cut(dice, direction, how).await;
                self.proxy.one_byte_writes(direction, false);
                "byte by byte"
            }
            Strike::Refuse => {
                self.proxy.refuse().await;
                self.proxy.cut(how);
                tokio::time::sleep(dice.millis(50, 2_500)).await;
                self.proxy.admit().await;
                "refused"
            }
            Strike::Silence => {
                self.proxy.silence();
                self.proxy.cut(how);
                tokio::time::sleep(dice.millis(50, 2_500)).await;
                self.proxy.admit().await;
                // Connections accepted in silence stay so.
                self.proxy.cut(how);
                "let in without a word"
            }
        }
    }

    /// Ends all faults.
    pub(crate) async fn make_peace(&self) {
        for direction in BOTH {
            self.proxy.unfreeze(direction);
            self.proxy.throttle(direction, None);
            self.proxy.one_byte_writes(direction, false);
            self.proxy.never_cut(direction);
        }
        self.proxy.admit().await;
    }

    async fn cut_at_some_byte(&self, dice: &mut Dice, victim: &Client, how: Cut) {
        let losses = losses(victim);
        // Hardly anything but PONGs flows towards the client.
        let (direction, bytes) = match dice.percent(80) {
            true => (Direction::ToServer, dice.pick(&[100, 10_000, 500_000])),
            false => (Direction::ToClient, 30),
        };
        self.proxy.cut_at(direction, self.proxy.passed(direction) + dice.between(1, bytes), how);
        wait(PATIENCE / 3, || losses_since(victim, losses) > 0).await;
        self.proxy.never_cut(direction);
    }

    /// Keeps a slow line slow for a while, and sometimes cuts it meanwhile.
    async fn rest_or_cut(&self, dice: &mut Dice, direction: Direction, how: Cut) {
        tokio::time::sleep(dice.millis(20, 900)).await;
        if dice.percent(50) {
            self.proxy.cut_at(direction, self.proxy.passed(direction) + dice.between(1, 2_000), how);
        }
        tokio::time::sleep(dice.millis(20, 900)).await;
    }
}

fn losses(victim: &Client) -> u64 {
    victim.stats().disconnects
}

fn losses_since(victim: &Client, before: u64) -> u64 {
    losses(victim) - before
}

/// Returns when the condition holds, or after a timeout.
pub(crate) async fn wait(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(patience, waiting).await.is_ok()
}
