//! What can be broken while a broker runs: the methods of [`Broker`] that do it.

use super::broker::Broker;
use super::connection::Close;
use super::greeting::push_info;
use super::switches::Faults;
use crate::protocol::err;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Faults. Each can be switched at any time and from any thread. It applies to present and new
/// connections until it is switched off. [`restart`](Self::restart) does not switch it off.
impl Broker {
    /// Dies like a process after `kill -9`: the port is closed and every connection is reset. Bytes
    /// that were not processed or not sent yet are lost.
    pub fn kill(&self) {
        self.node.stop(Close::Reset);
    }

    /// Stops like a process after SIGTERM: as with [`kill`](Self::kill), but connections are closed
    /// instead of reset. It can be [restarted](Self::restart) too.
    pub fn shutdown(&self) {
        self.node.stop(Close::Plain);
    }

    /// Starts again on the same port, without subscriptions. A running broker is killed first.
    ///
    /// # Errors
    ///
    /// When another process still uses the port after 10 seconds.
    pub async fn restart(&self) -> io::Result<()> {
        self.node.stop(Close::Reset);
        self.node.start().await
    }

    /// `true` closes the port, so that connection attempts fail immediately, and leaves established
    /// connections alone; `false` opens it again. A broker that is down stays down.
    ///
    /// Meanwhile the port is reserved. If another program takes it nevertheless, the broker opens it
    /// in the background as soon as it is free.
    pub fn refuse(&self, on: bool) {
        self.node.refuse(on);
    }

    /// Accepts connections and closes them before INFO.
    pub fn close_on_accept(&self, on: bool) {
        self.set(|faults| &faults.close_on_accept, on);
    }

    /// Closes connections after their first INFO.
    pub fn close_after_info(&self, on: bool) {
        self.set(|faults| &faults.close_after_info, on);
    }

    /// Closes connections after their first PONG, when they have just been established.
    pub fn close_after_pong(&self, on: bool) {
        self.set(|faults| &faults.close_after_pong, on);
    }

    /// Freezes like a process after SIGSTOP: connections stay open and the system accepts more, but
    /// nothing is read or written, and no timer runs.
    pub fn stall(&self) {
        self.set(|faults| &faults.no_accept, true);
        self.stall_reads(true);
        self.stall_writes(true);
    }

    /// Continues after [`stall`](Self::stall), [`stall_reads`](Self::stall_reads) and
    /// [`stall_writes`](Self::stall_writes), with everything that was buffered meanwhile.
    pub fn resume(&self) {
        self.set(|faults| &faults.no_accept, false);
        self.stall_reads(false);
        self.stall_writes(false);
    }

    /// Stops reading only: an outage from the clients to the broker.
    pub fn stall_reads(&self, on: bool) {
        self.set(|faults| &faults.no_read, on);
    }

    /// Stops writing only: an outage from the broker to the clients, whose operations are still
    /// processed.
    pub fn stall_writes(&self, on: bool) {
        self.set(|faults| &faults.no_write, on);
    }

    /// Cuts a connection after this many bytes from its client.
    ///
    /// Each connection is counted by itself, from now or from its beginning, CONNECT included. The
    /// first one to get there is closed at exactly that byte, after its complete operations were
    /// processed. Then the fault is over. 0 cuts the first connection that sends anything. Setting
    /// it again restarts the counts.
    pub fn cut_after(&self, bytes: u64) {
        self.node.shared.faults.cut_received.set(Some(bytes));
    }

    /// Cuts a connection after this many bytes to its client, INFO included; counted as for
    /// [`cut_after`](Self::cut_after).
    pub fn cut_after_sent(&self, bytes: u64) {
        self.node.shared.faults.cut_sent.set(Some(bytes));
    }

    /// Cancels [`cut_after`](Self::cut_after) and [`cut_after_sent`](Self::cut_after_sent) if they
    /// have not cut a connection yet.
    pub fn cut_nothing(&self) {
        self.node.shared.faults.cut_received.set(None);
        self.node.shared.faults.cut_sent.set(None);
    }

    /// Closes all connections and returns their number. The port stays open.
    pub fn disconnect_all(&self) -> usize {
        self.node.connections.close(Close::Plain)
    }

    /// Lame duck mode, as after SIGUSR2: the port is closed, and every client gets an INFO with `ldm`
    /// and the other members of the cluster. After the
    /// [grace period](super::Builder::lame_duck_grace) the connections are closed one by one. Then it
    /// is down, and can be [restarted](Self::restart).
    pub fn lame_duck(&self) {
        self.node.lame_duck();
    }

    /// Sends `-ERR 'text'` to all clients and closes no connection. A CR or LF in the text becomes a
    /// blank.
    pub fn say_err(&self, text: &str) {
        let text = text.replace(['\r', '\n'], " ");
        self.node.connections.each(|connection| connection.say(|out| err(out, &text)));
    }

    /// Sends these bytes unchanged to all clients, between two frames: PONGs that nobody asked for, an
    /// INFO of your own, nonsense.
    pub fn inject(&self, bytes: &[u8]) {
        self.node.connections.each(|connection| connection.say(|out| out.extend_from_slice(bytes)));
    }

    /// Answers no PING, including that of the handshake.
    pub fn drop_pongs(&self, on: bool) {
        self.set(|faults| &faults.drop_pongs, on);
    }

    /// Answers every CONNECT with `-ERR 'Authorization Violation'` and closes.
    pub fn reject_logins(&self, on: bool) {
        self.set(|faults| &faults.reject_logins, on);
    }

    /// Changes the largest message that is accepted, headers included, in bytes. As after a reload of
    /// a server's configuration, clients learn of it with the next INFO; see
    /// [`push_info`](Self::push_info).
    pub fn set_max_payload(&self, bytes: usize) {
        self.node.shared.max_payload.store(bytes, Ordering::Release);
    }

    /// Changes the largest number of connections. Present ones stay.
    pub fn set_max_connections(&self, connections: usize) {
        self.node.shared.max_connections.store(connections, Ordering::Release);
    }

    /// Sends the current INFO to all clients that accept one (protocol 1).
    pub fn push_info(&self) {
        push_info(&self.node);
    }

    fn set(&self, switch: impl Fn(&Faults) -> &AtomicBool, on: bool) {
        let faults = &self.node.shared.faults;
        faults.set(switch(faults), on);
    }
}
