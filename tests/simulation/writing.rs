//! The model driver's writing half: what each kind of transport takes, and what it says of it (D4).

use nats_lifeline::engine::{Cause, Status};
use rand::RngExt;

use crate::conn::Transport;
use crate::driver::WIDE;
use crate::plan::ms;
use crate::script::say;
use crate::world::World;

impl World {
    /// One write. Returns whether something moved.
    pub(crate) fn write_to(&mut self, epoch: u64, at: usize) -> bool {
        let Some(flight) = self.driver.engine.flight_of(epoch) else { return false };
        let there = flight.len();
        let longest = if self.meddling { self.plan.longest_write } else { WIDE };
        let most = usize::try_from(self.rng.random_range(1..=longest)).unwrap().min(there);
        let conn = &self.conns[at];
        match (conn.room(), conn.transport) {
            (Some(0), _) => false,
            (None, Transport::Kernel | Transport::Records) => self.fail(epoch, at),
            (None, Transport::Custom) => self.fail_doubtfully(epoch, at, most),
            (Some(room), Transport::Kernel | Transport::Custom) => {
                let most = most.min(usize::try_from(room).unwrap());
                self.hand_over(epoch, at, most);
                true
            }
            (Some(_), Transport::Records) => self.write_record(epoch, at, most),
        }
    }

    fn fail(&mut self, epoch: u64, at: usize) -> bool {
        say!(self, "writing fails on connection {at}");
        let cause = Cause::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        self.driver.engine.handle_write_failed(epoch, cause, self.now);
        true
    }

    /// A stream of a user's reports an error, and has handed on a part of what it was offered, or all of it: nobody
    /// knows, so all of it counts as taken.
    fn fail_doubtfully(&mut self, epoch: u64, at: usize, offered: usize) -> bool {
        let before = self.conns[at].wire.taken;
        self.hand_over(epoch, at, offered);
        let reaches = before + self.rng.random_range(0..=offered as u64);
        self.conns[at].end_in(reaches);
        self.tally.fault("write failed, bytes in doubt");
        say!(self, "connection {at}: {offered} bytes are doubtful, the server gets up to byte {reaches}");
        self.fail(epoch, at)
    }

    /// A record is taken when its last byte is. Until then its bytes are offered again, first and unchanged.
    fn write_record(&mut self, epoch: u64, at: usize, most: usize) -> bool {
        let len = self.conns[at].begun.len().max(most);
        let bytes = self.offered(epoch, len);
        assert!(bytes.starts_with(&self.conns[at].begun), "D4: the bytes of a record that was begun have changed");
        let begun = self.conns[at].begun.len();
        if begun == 0 && self.meddling && self.rng.random_bool(0.5) {
            self.driver.engine.handle_begun(epoch, len);
            self.conns[at].begun = bytes;
            return true;
        }
        if begun > 0 && self.meddling && self.rng.random_bool(0.5) {
            return false;
        }
        let record = if begun > 0 { begun } else { len };
        self.conns[at].begun.clear();
        self.hand_over(epoch, at, record);
        true
    }

    /// The transport takes `n` bytes.
    fn hand_over(&mut self, epoch: u64, at: usize, n: usize) {
        let bytes = self.offered(epoch, n);
        self.conns[at].stuck = None;
        self.take(at, &bytes);
        self.driver.engine.handle_taken(epoch, bytes.len(), self.now);
        self.scratch = bytes;
    }

    /// The next `n` bytes, or all that there are.
    fn offered(&mut self, epoch: u64, n: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        let Some(flight) = self.driver.engine.flight_of(epoch) else { return bytes };
        for slice in flight.slices() {
            bytes.extend_from_slice(&slice[..slice.len().min(n - bytes.len())]);
            if bytes.len() == n {
                break;
            }
        }
        assert_eq!(bytes.len(), n.min(flight.len()), "slices and length of the flight disagree");
        bytes
    }

    /// A write that makes no progress is noticed in its time, whatever else comes in.
    pub(crate) fn check_stalls(&mut self) {
        let links = self.driver.links.iter().filter_map(|link| Some((link.epoch, link.conn()?)));
        for (epoch, at) in links.collect::<Vec<_>>() {
            let stuck = self.driver.engine.flight_of(epoch).is_some() && self.conns[at].room() == Some(0);
            let conn = &mut self.conns[at];
            if !stuck || self.driver.engine.status() == Status::Closed {
                conn.stuck = None;
                continue;
            }
            let since = *conn.stuck.get_or_insert(self.now);
            let stuck = self.now - since;
            // Who has overslept the deadline asks once more.
            let slept = self.woke.is_some_and(|(woke, _)| woke == since);
            let limit =
                if slept { self.plan.config.write_timeout.max(ms(1_000)) } else { self.plan.config.write_timeout };
            assert!(stuck <= limit, "I7: connection {at} takes nothing for {stuck:?}");
        }
    }
}
