//! The model driver's reading half: short reads, operations to the engine, messages to their streams.

use nats_lifeline::engine::Cause;
use nats_lifeline::protocol::{Decoded, ServerOp};
use rand::RngExt;

use crate::conn::End;
use crate::content;
use crate::driver::WIDE;
use crate::script::say;
use crate::world::World;

impl World {
    pub(crate) fn poll_read(&mut self) -> bool {
        let links = self.driver.links.iter().filter_map(|link| Some((link.epoch, link.conn()?)));
        let links: Vec<_> = links.collect();
        links.into_iter().fold(false, |moved, (epoch, conn)| self.read_from(epoch, conn) || moved)
    }

    fn read_from(&mut self, epoch: u64, at: usize) -> bool {
        let longest = if self.meddling { self.plan.longest_read } else { WIDE as usize };
        let conn = &mut self.conns[at];
        let there = conn.arrived - conn.seen;
        if there == 0 {
            let Some(end) = conn.end_reached() else { return false };
            say!(self, "connection {at} ends: {end:?}");
            let cause = match end {
                End::Eof => Cause::ClosedByServer,
                _ => Cause::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            };
            self.driver.engine.handle_lost(epoch, cause, self.now);
            return true;
        }
        let n = there.min(self.rng.random_range(1..=longest));
        let bytes = &conn.output.bytes[conn.seen..conn.seen + n];
        say!(self, "reads {n} bytes of connection {at}: {:?}", String::from_utf8_lossy(bytes));
        let Some(link) = self.driver.links.iter_mut().find(|link| link.epoch == epoch) else { return false };
        link.buf.extend_from_slice(bytes);
        conn.seen += n;
        self.driver.engine.handle_received(epoch, self.now);
        self.decode(epoch, at);
        true
    }

    /// Messages are delivered in groups, before whatever operation follows them.
    fn decode(&mut self, epoch: u64, conn: usize) {
        let Some(link) = self.driver.links.iter().position(|link| link.epoch == epoch) else { return };
        let buf = std::mem::take(&mut self.driver.links[link].buf);
        let mut groups: Vec<(u64, Vec<u64>)> = Vec::new();
        let mut at = 0;
        let fault = loop {
            let decoded = self.driver.links[link].decoder.decode_server(&buf[at..]);
            match decoded {
                Ok(Decoded::Op { op: ServerOp::Msg(message), len })
                    if self.driver.engine.expects_messages_of(epoch) =>
                {
                    let number = content::read(message.payload).expect("I1: a payload was changed");
                    let subject = content::index(message.subject).expect("I1: a subject was changed");
                    self.books.check_delivery(number, subject, message.payload.len());
                    match groups.iter_mut().find(|(sid, _)| *sid == message.sid) {
                        Some((_, numbers)) => numbers.push(number),
                        None => groups.push((message.sid, vec![number])),
                    }
                    at += len;
                }
                Ok(Decoded::Op { op, len }) => {
                    at += len;
                    self.deliver(conn, std::mem::take(&mut groups));
                    self.read_op(epoch, conn, &op);
                    if !self.driver.engine.is_live(epoch) {
                        break None;
                    }
                }
                Ok(Decoded::NeedMore(_)) => break None,
                Err(error) => break Some(error),
            }
        };
        self.deliver(conn, groups);
        self.driver.links[link].buf = buf;
        self.driver.links[link].buf.drain(..at);
        if let Some(error) = fault {
            self.driver.engine.handle_lost(epoch, Cause::Protocol(error), self.now);
        }
    }

    fn read_op(&mut self, epoch: u64, conn: usize, op: &ServerOp<'_>) {
        let handshake = !self.driver.engine.expects_messages_of(epoch);
        match op {
            ServerOp::Pong => self.pong(conn),
            ServerOp::Err(text) if text.starts_with(b"Permissions Violation for Publish") => {
                self.conns[conn].heard += 1
            }
            _ => {}
        }
        self.driver.engine.handle_op(epoch, op, self.now);
        if handshake && self.driver.engine.expects_messages_of(epoch) {
            let table = &self.driver.engine.subscriptions;
            self.conns[conn].at_handshake = Some(table.iter().map(|(sid, _)| sid).collect());
        }
    }

    fn deliver(&mut self, conn: usize, groups: Vec<(u64, Vec<u64>)>) {
        for (sid, numbers) in groups {
            self.arrive(conn, sid, &numbers);
            let Some(accepted) = self.driver.engine.receive(sid, numbers.len() as u64) else {
                self.unwanted.push(sid);
                continue;
            };
            self.accept(sid, &numbers, accepted);
            if let Some(max) = accepted.complete {
                self.driver.engine.handle_complete(sid, max);
            }
        }
    }
}
