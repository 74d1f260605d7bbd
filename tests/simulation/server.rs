//! The model server: the session that the broker of `testing` is built on, and around it permissions, moods, deadly messages and
//! the routing between servers.

use nats_lifeline::protocol::ClientOp;
use nats_lifeline::testing::session::{Fact, Read};
use rand::RngExt;

use crate::conn::{End, Mood};
use crate::content::{self, SUBJECTS};
use crate::script::say;
use crate::world::World;

/// The present state of a server. Connections outlive a restart only as bytes in transit.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) up: bool,
    /// Packets to it vanish.
    pub(crate) dark: bool,
    pub(crate) max_payload: usize,
    pub(crate) headers: bool,
    pub(crate) accepts_us: bool,
    pub(crate) lame: bool,
    /// A subject that we may not subscribe to, and whether the error names the sid.
    pub(crate) denies: Option<(usize, bool)>,
    /// A subject that we may not publish to.
    pub(crate) forbids: Option<usize>,
    /// The largest number of subscriptions of one connection.
    pub(crate) room: usize,
}

impl Node {
    pub(crate) fn name(number: usize) -> String {
        format!("n{number}")
    }

    pub(crate) fn new(number: usize) -> Node {
        Node {
            name: Node::name(number),
            up: true,
            dark: false,
            max_payload: 1 << 20,
            headers: true,
            accepts_us: true,
            lame: false,
            denies: None,
            forbids: None,
            room: usize::MAX,
        }
    }
}

/// The largest number that servers read in UNSUB.
pub(crate) const LARGEST: u64 = 999_999_999;

impl World {
    /// The server of connection `at` reads up to `most` bytes and acts on every whole operation.
    pub(crate) fn serve(&mut self, at: usize, most: u64) {
        let conn = &mut self.conns[at];
        if !conn.open || conn.reading_stalls.is_some_and(|until| until > self.now) {
            return;
        }
        if !conn.greeted {
            conn.greeted = true;
            self.greet(at);
        }
        let conn = &mut self.conns[at];
        conn.read += conn.unread().min(most);
        let mut inbox = std::mem::take(&mut self.conns[at].inbox);
        let mut used = 0;
        while self.conns[at].open {
            let conn = &mut self.conns[at];
            let there = usize::try_from(conn.read - conn.acted).unwrap();
            match conn.session.read(&inbox[used..used + there]) {
                Ok(Read::NeedMore(_)) => break,
                Ok(Read::Op { op, len }) => {
                    used += len;
                    conn.acted += len as u64;
                    self.act(at, &op);
                    // Others act between two operations of ours, most often where it matters.
                    let interest = matches!(op, ClientOp::Sub { .. } | ClientOp::Unsub { .. });
                    if self.meddling && self.rng.random_ratio(1, if interest { 4 } else { 200 }) {
                        self.publish_elsewhere();
                    }
                }
                other => panic!("I1: a server does not accept this: {other:?}"),
            }
        }
        inbox.drain(..used);
        self.conns[at].inbox = inbox;
        self.die_of_message(at);
        let conn = &mut self.conns[at];
        if conn.open && conn.ends_at.is_some_and(|end| conn.read >= end) {
            // Half an operation at the end is discarded.
            let arrives = conn.output.bytes.len();
            conn.close(End::Eof, arrives);
        }
    }

    /// A server that has read the beginning of a deadly message hangs up.
    fn die_of_message(&mut self, at: usize) {
        let conn = &self.conns[at];
        // Its number is in the first bytes of its payload.
        let begun = conn.wire.is_in_message() && conn.read >= conn.wire.parsed() + 60;
        if !(conn.open && begun && self.driver.conn() == Some(at)) {
            return;
        }
        if let Some(first) = self.books.first_waiting() {
            if self.books.record(first).deadly {
                self.hang_up(at);
            }
        }
    }

    fn hang_up(&mut self, at: usize) {
        self.tally.fault("deadly message");
        say!(self, "server: connection {at} dies of a message");
        let conn = &mut self.conns[at];
        let arrives = conn.output.bytes.len();
        conn.close(End::Eof, arrives);
    }

    fn greet(&mut self, at: usize) {
        let mood = self.conns[at].mood;
        let how = if self.rng.random_bool(0.5) { End::Eof } else { End::Reset };
        match mood {
            Mood::Mute => return,
            Mood::CloseAtOnce => return self.conns[at].close(how, 0),
            Mood::BadInfo => return self.conns[at].say(b"INFO {\"max_payload\":\r\n"),
            Mood::PongFirst => return self.conns[at].say(b"PONG\r\n"),
            _ => self.say_info(at),
        }
        if mood == Mood::InfoThenClose {
            let conn = &mut self.conns[at];
            let arrives = self.rng.random_range(0..=conn.output.bytes.len());
            conn.close(how, arrives);
        }
    }

    /// INFO with the present state of the server.
    pub(crate) fn say_info(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        let node = &self.nodes[conn.node];
        conn.max_payload = conn.max_payload.max(node.max_payload);
        conn.headers |= node.headers;
        let urls: Vec<String> = self.gossip.iter().map(|url| format!("\"{url}\"")).collect();
        let info = format!(
            "INFO {{\"server_id\":\"{}\",\"max_payload\":{},\"headers\":{},\"ldm\":{},\"connect_urls\":[{}]}}\r\n",
            node.name,
            node.max_payload,
            node.headers,
            node.lame,
            urls.join(",")
        );
        conn.say(info.as_bytes());
    }

    fn refuse(&mut self, at: usize, text: &str) {
        say!(self, "server: {text} on connection {at}");
        let conn = &mut self.conns[at];
        conn.say(format!("-ERR '{text}'\r\n").as_bytes());
        let arrives = conn.output.bytes.len();
        conn.close(End::Eof, arrives);
    }

    /// Acts on an operation. What the session does not decide comes first.
    fn act(&mut self, at: usize, op: &ClientOp<'_>) {
        let (node, mood) = (&self.nodes[self.conns[at].node], self.conns[at].mood);
        match *op {
            ClientOp::Connect(_) => match mood {
                _ if !node.accepts_us => return self.refuse(at, "Authorization Violation"),
                Mood::Refuse(text) => return self.refuse(at, text),
                _ => {}
            },
            ClientOp::Ping => {
                self.check_done(at);
                if mood == Mood::NoPong {
                    return;
                }
            }
            ClientOp::Sub { subject, queue, sid } => {
                let room = node.room;
                self.conns[at].wire.subs.pop_front();
                if self.denies(at, subject, queue, sid) {
                    return;
                }
                self.conns[at].session.set_max_subscriptions(Some(room));
            }
            ClientOp::Unsub { sid, max } => {
                self.check_overlap(at, sid);
                if max.is_none() {
                    self.check_taken_back(at, sid);
                }
            }
            ClientOp::Pub(_) | ClientOp::Pong => {}
        }
        let conn = &mut self.conns[at];
        match conn.session.act(op, &mut conn.output) {
            Ok(fact) => self.note(at, op, fact),
            Err(ending) => panic!("I1: a server does not accept this: {ending:?}"),
        }
    }

    /// Records and routes what the session reports.
    fn note(&mut self, at: usize, op: &ClientOp<'_>, fact: Fact<'_>) {
        let conn = &mut self.conns[at];
        match (fact, op) {
            (Fact::Connected(dropped), _) => assert!(dropped.is_empty(), "I1: CONNECT twice on connection {at}"),
            (Fact::Greeted, _) => self.welcome(at),
            (Fact::Published(message), _) => {
                let number = content::read(message.payload).expect("I1: a payload was changed");
                self.process(at, number);
            }
            (Fact::Refused(text), ClientOp::Sub { sid, .. }) => {
                assert_eq!(text, "maximum subscriptions exceeded", "I1");
                self.tally.fault("no room for SUB");
                conn.full = true;
                // The client reads that.
                conn.done.remove(sid);
            }
            (_, ClientOp::Sub { sid, .. }) => {
                let again = conn.done.remove(sid);
                again.then(|| self.tally.user("limit raised that a server had reached"));
            }
            (Fact::Unsubscribed(ended), ClientOp::Unsub { max: Some(_), .. }) => drop(conn.done.insert(ended.sid)),
            _ => {}
        }
    }

    /// Refuses a subscription for which there is no permission, and returns whether it did.
    fn denies(&mut self, at: usize, subject: &[u8], queue: Option<&[u8]>, sid: u64) -> bool {
        let Some((denied, names_sid)) = self.nodes[self.conns[at].node].denies else { return false };
        if SUBJECTS[denied].as_bytes() != subject {
            return false;
        }
        let group = &self.plan.group;
        let queue = if queue.is_some() { format!(" using queue \"{group}\"") } else { String::new() };
        let sid = if names_sid { format!(" (sid \"{sid}\")") } else { String::new() };
        let subject = SUBJECTS[denied];
        let text = format!("-ERR 'Permissions Violation for Subscription to \"{subject}\"{queue}{sid}'\r\n");
        self.tally.fault("denied SUB");
        self.conns[at].say(text.as_bytes());
        true
    }

    /// The first PING was answered.
    fn welcome(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        conn.welcomed = true;
        match conn.mood {
            Mood::PongThenClose => {
                let arrives = self.rng.random_range(0..=conn.output.bytes.len());
                conn.close(End::Eof, arrives);
            }
            // Newer servers send INFO again after the first PONG.
            Mood::Normal => self.say_info(at),
            _ => {}
        }
    }

    fn process(&mut self, at: usize, number: u64) {
        let subject = self.books.record(number).subject;
        if self.nodes[self.conns[at].node].forbids == Some(subject) {
            self.tally.fault("denied PUB");
            let text = format!("-ERR 'Permissions Violation for Publish to \"{}\"'\r\n", SUBJECTS[subject]);
            self.conns[at].say(text.as_bytes());
            return self.conns[at].refused.push(number);
        }
        let record = self.books.processed(number, self.plan.resends());
        let conn = &self.conns[at];
        assert!(record.size <= conn.max_payload, "message {number} is larger than this server ever allowed");
        assert!(!record.headers || conn.headers, "message {number} has headers, and this server can't take any");
        if record.deadly {
            return self.hang_up(at);
        }
        self.route(number, record.subject, record.payload, record.headers);
    }

    /// To every matching subscription of all servers, which are a cluster, and to one member of each queue group.
    pub(crate) fn route(&mut self, number: u64, subject: usize, size: usize, headers: bool) {
        let mut receivers: Vec<(usize, u64)> = Vec::new();
        let mut groups: [Vec<(usize, u64)>; SUBJECTS.len()] = Default::default();
        let to = SUBJECTS[subject].as_bytes();
        for at in self.active.iter().copied().filter(|at| self.conns[*at].open) {
            for it in self.conns[at].output.subscriptions.iter().filter(|it| it.wants(to)) {
                let members = match content::index(&it.subject).filter(|_| it.queue.is_some()) {
                    Some(pattern) => &mut groups[pattern],
                    None => &mut receivers,
                };
                members.push((at, it.sid));
            }
        }
        for group in groups.iter().filter(|group| !group.is_empty()) {
            receivers.push(group[self.rng.random_range(0..group.len())]);
        }
        for (at, sid) in receivers {
            self.conns[at].deliver(sid, number, subject, size, headers);
        }
    }
}
