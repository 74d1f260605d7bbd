//! What can be broken while a broker runs.

use super::broker::Broker;
use super::connection::Close;
use super::lock;
use crate::protocol::err;
use std::io;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// The switches of one broker.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) no_accept: AtomicBool,
    pub(super) no_read: AtomicBool,
    pub(super) no_write: AtomicBool,
    pub(super) close_on_accept: AtomicBool,
    pub(super) close_after_info: AtomicBool,
    pub(super) close_after_pong: AtomicBool,
    pub(super) drop_pongs: AtomicBool,
    pub(super) reject_logins: AtomicBool,
    /// Something was switched off.
    changed: Notify,
    pub(super) cut_received: Cut,
    pub(super) cut_sent: Cut,
}

impl Faults {
    /// Waits while a switch is on.
    pub(super) async fn while_set(&self, switch: &AtomicBool) {
        while switch.load(Ordering::Acquire) {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if switch.load(Ordering::Acquire) {
                changed.await;
            }
        }
    }

    fn set(&self, switch: &AtomicBool, on: bool) {
        switch.store(on, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Frozen: not even timers run.
    pub(super) fn is_frozen(&self) -> bool {
        self.no_read.load(Ordering::Acquire) && self.no_write.load(Ordering::Acquire)
    }
}

/// "Cut a connection after so many bytes", for one direction.
#[derive(Default)]
pub(super) struct Cut {
    /// How often it was set; 0 is never. It tells meters when to start again.
    epoch: AtomicU64,
    /// The epoch and the bytes, until a connection was cut.
    armed: Mutex<Option<(u64, u64)>>,
}

/// What one connection has counted for a [`Cut`].
#[derive(Default)]
pub(super) struct Meter {
    epoch: u64,
    bytes: u64,
}

impl Cut {
    fn set(&self, bytes: Option<u64>) {
        let mut armed = lock(&self.armed);
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        *armed = bytes.map(|bytes| (epoch, bytes));
    }

    /// How many bytes may pass before the cut; `usize::MAX` without one.
    pub(super) fn allowance(&self, meter: &mut Meter) -> usize {
        if self.epoch.load(Ordering::Acquire) == 0 {
            return usize::MAX;
        }
        let Some((epoch, bytes)) = *lock(&self.armed) else {
            return usize::MAX;
        };
        if meter.epoch != epoch {
            *meter = Meter { epoch, bytes: 0 };
        }
        usize::try_from(bytes.saturating_sub(meter.bytes)).unwrap_or(usize::MAX)
    }

    /// Counts bytes that passed. Is this connection to be cut now?
    pub(super) fn passed(&self, meter: &mut Meter, bytes: usize) -> bool {
        if self.epoch.load(Ordering::Acquire) == 0 {
            return false;
        }
        meter.bytes += bytes as u64;
        let mut armed = lock(&self.armed);
        match *armed {
            Some((epoch, limit)) if epoch == meter.epoch && meter.bytes >= limit => {
                *armed = None;
                true
            }
            _ => false,
        }
    }
}

/// Faults. Each can be switched at any time, from any thread, and holds for the connections that
/// are there and those that come, until it is switched off. [`restart`](Self::restart) switches
/// none of them off.
impl Broker {
    /// Dies like a process at `kill -9`: the port is closed and every connection is reset, all at
    /// once. What was not processed yet is lost, and so is what was not yet sent.
    pub fn kill(&self) {
        self.node.stop(Close::Reset);
    }

    /// Ends like a process at SIGTERM: as [`kill`](Self::kill), but the connections are closed
    /// instead of reset. It can be [restarted](Self::restart), too.
    pub fn shutdown(&self) {
        self.node.stop(Close::Plain);
    }

    /// Starts again on the same port, without any memory of subscriptions. A broker that runs is
    /// killed first.
    ///
    /// # Errors
    ///
    /// When the port is still used by somebody else after 10 seconds.
    pub async fn restart(&self) -> io::Result<()> {
        self.node.stop(Close::Reset);
        self.node.start().await
    }

    /// `true` closes the port, so that dialling fails at once, and leaves connections alone;
    /// `false` opens it again. A broker that is down stays down.
    ///
    /// Between the two the port is kept from other programs of this machine. Should one have got
    /// it nevertheless, it is opened in the background as soon as it is free.
    pub fn refuse(&self, on: bool) {
        self.node.refuse(on);
    }

    /// Accepts connections and closes them before a word is said.
    pub fn close_on_accept(&self, on: bool) {
        self.node.faults.set(&self.node.faults.close_on_accept, on);
    }

    /// Closes connections behind their first INFO.
    pub fn close_after_info(&self, on: bool) {
        self.node.faults.set(&self.node.faults.close_after_info, on);
    }

    /// Closes connections behind their first PONG: they were just established.
    pub fn close_after_pong(&self, on: bool) {
        self.node.faults.set(&self.node.faults.close_after_pong, on);
    }

    /// Freezes like a process at SIGSTOP: connections stay open and the system accepts more, but
    /// nothing is read or written any more, and no timer runs.
    pub fn stall(&self) {
        let faults = &self.node.faults;
        faults.set(&faults.no_accept, true);
        self.stall_reads(true);
        self.stall_writes(true);
    }

    /// Goes on after [`stall`](Self::stall), [`stall_reads`](Self::stall_reads) and
    /// [`stall_writes`](Self::stall_writes), with what has piled up meanwhile.
    pub fn resume(&self) {
        let faults = &self.node.faults;
        faults.set(&faults.no_accept, false);
        self.stall_reads(false);
        self.stall_writes(false);
    }

    /// Stops reading only: an outage in the direction from the clients.
    pub fn stall_reads(&self, on: bool) {
        self.node.faults.set(&self.node.faults.no_read, on);
    }

    /// Stops writing only: an outage in the direction to the clients. What clients say is acted
    /// upon.
    pub fn stall_writes(&self, on: bool) {
        self.node.faults.set(&self.node.faults.no_write, on);
    }

    /// Cuts a connection when so many bytes have come from its client.
    ///
    /// Each connection is counted for itself, from now or from its beginning, CONNECT included.
    /// The first that gets there is closed exactly then, when the operations that are complete
    /// were acted upon, and the fault is over. 0 cuts the first that says anything. Setting it
    /// again starts counting again.
    pub fn cut_after(&self, bytes: u64) {
        self.node.faults.cut_received.set(Some(bytes));
    }

    /// Cuts a connection when so many bytes have been sent to its client, INFO included, counted
    /// as for [`cut_after`](Self::cut_after).
    pub fn cut_after_sent(&self, bytes: u64) {
        self.node.faults.cut_sent.set(Some(bytes));
    }

    /// Takes [`cut_after`](Self::cut_after) and [`cut_after_sent`](Self::cut_after_sent) back, if
    /// they have not happened.
    pub fn cut_nothing(&self) {
        self.node.faults.cut_received.set(None);
        self.node.faults.cut_sent.set(None);
    }

    /// Closes all connections; the port stays open. Returns how many there were.
    pub fn disconnect_all(&self) -> usize {
        self.node.close_all(Close::Plain)
    }

    /// Lame duck mode, as at SIGUSR2: the port is closed, every client gets an INFO with `ldm` and
    /// the others of the cluster; after the [grace period](super::Builder::lame_duck_grace) the
    /// connections are closed one by one. Then it is down, and can be [restarted](Self::restart).
    pub fn lame_duck(&self) {
        self.node.lame_duck();
    }

    /// Sends `-ERR 'text'` to all clients, and nothing else: no connection is closed. A CR or LF
    /// in the text becomes a blank.
    pub fn say_err(&self, text: &str) {
        let text = text.replace(['\r', '\n'], " ");
        self.node.each(|connection| connection.say(|out| err(out, &text)));
    }

    /// Sends bytes as they are to all clients, between two frames: PONGs that nobody asked for,
    /// an INFO of your own, nonsense.
    pub fn inject(&self, bytes: &[u8]) {
        self.node.each(|connection| connection.say(|out| out.extend_from_slice(bytes)));
    }

    /// Answers no PING, that of a handshake included.
    pub fn drop_pongs(&self, on: bool) {
        self.node.faults.set(&self.node.faults.drop_pongs, on);
    }

    /// Answers every CONNECT with `-ERR 'Authorization Violation'` and closes.
    pub fn reject_logins(&self, on: bool) {
        self.node.faults.set(&self.node.faults.reject_logins, on);
    }

    /// Changes the largest body that is accepted, headers included, in bytes. Clients are not
    /// told, as after a reload of a server's configuration, until the next INFO; see
    /// [`push_info`](Self::push_info).
    pub fn set_max_payload(&self, bytes: usize) {
        self.node.max_payload.store(bytes, Ordering::Release);
    }

    /// Changes how many connections are accepted at most. Those that are there stay.
    pub fn set_max_connections(&self, connections: usize) {
        self.node.max_connections.store(connections, Ordering::Release);
    }

    /// Sends the current INFO to all clients that take one.
    pub fn push_info(&self) {
        self.node.push_info();
    }
}
