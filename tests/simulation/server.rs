//! The model server: what a nats-server does with the bytes it reads, and nothing else.

use rand::RngExt;

use crate::conn::{Conn, End, Interest, Mood};
use crate::content::{self, SUBJECTS};
use crate::script::say;
use crate::wire::Said;
use crate::world::World;

/// A server: what it is like now. Connections outlive a restart only as bytes on their way.
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
    /// A subject that it does not let us subscribe to, and whether it names the sid when it says so.
    pub(crate) denies: Option<(usize, bool)>,
    /// A subject that it does not let us publish to.
    pub(crate) forbids: Option<usize>,
    /// How many subscriptions of one connection it takes.
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
        while let Some((end, said)) = self.conns[at].wire.ops.front().copied() {
            if end > self.conns[at].read || !self.conns[at].open {
                break;
            }
            self.conns[at].wire.ops.pop_front();
            self.act(at, said);
            // Others act between two operations of ours, above all where it matters.
            let interest = matches!(said, Said::Sub { .. } | Said::Unsub { .. });
            if self.meddling && self.rng.random_ratio(1, if interest { 4 } else { 200 }) {
                self.publish_elsewhere();
            }
        }
        self.die_of_message(at);
        let conn = &mut self.conns[at];
        if conn.open && conn.ends_at.is_some_and(|end| conn.read >= end) {
            // Half an operation at the end is discarded.
            let arrives = conn.out.len();
            conn.close(End::Eof, arrives);
        }
    }

    /// A server that has read the head of a deadly message hangs up.
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
        let arrives = conn.out.len();
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
            let arrives = self.rng.random_range(0..=conn.out.len());
            conn.close(how, arrives);
        }
    }

    /// INFO, as the server is now.
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
        let arrives = conn.out.len();
        conn.close(End::Eof, arrives);
    }

    fn act(&mut self, at: usize, said: Said) {
        let node = self.conns[at].node;
        if matches!(said, Said::Ping) {
            self.check_done(at);
        }
        match said {
            Said::Connect => {
                if !self.nodes[node].accepts_us {
                    self.refuse(at, "Authorization Violation");
                } else if let Mood::Refuse(text) = self.conns[at].mood {
                    self.refuse(at, text);
                }
            }
            Said::Ping => self.answer(at),
            Said::Pong => {}
            Said::Pub { number } => self.process(at, number),
            Said::Sub { sid, subject, queue } => match self.nodes[node].denies {
                Some((denied, names_sid)) if denied == subject => {
                    let group = &self.plan.group;
                    let queue = if queue { format!(" using queue \"{group}\"") } else { String::new() };
                    let sid = if names_sid { format!(" (sid \"{sid}\")") } else { String::new() };
                    let subject = SUBJECTS[subject];
                    let text =
                        format!("-ERR 'Permissions Violation for Subscription to \"{subject}\"{queue}{sid}'\r\n");
                    self.tally.fault("denied SUB");
                    self.conns[at].say(text.as_bytes());
                }
                // It counts before it looks whether it knows this one.
                _ if self.conns[at].subs.len() >= self.nodes[node].room => {
                    self.tally.fault("no room for SUB");
                    self.conns[at].full = true;
                    // The client hears that.
                    self.conns[at].done.remove(&sid);
                    self.conns[at].say(b"-ERR 'maximum subscriptions exceeded'\r\n");
                }
                _ => {
                    let conn = &mut self.conns[at];
                    // One that it knows it does not count anew.
                    conn.subs.entry(sid).or_insert(Interest { subject, queue, sent: 0, max: None });
                    if conn.done.remove(&sid) {
                        self.tally.user("limit raised that a server had reached");
                    }
                }
            },
            Said::Unsub { sid, max } => {
                self.check_overlap(at, sid);
                if max.is_none() {
                    self.check_taken_back(at, sid);
                }
                let Conn { subs, done, .. } = &mut self.conns[at];
                if max.is_some() && subs.contains_key(&sid) {
                    done.insert(sid);
                }
                // A number that it can't read is none.
                let max = max.filter(|max| *max <= LARGEST);
                match (subs.get_mut(&sid), max) {
                    (Some(interest), Some(max)) if interest.sent < max => {
                        interest.max = Some(max);
                        done.remove(&sid);
                    }
                    _ => drop(subs.remove(&sid)),
                }
            }
        }
    }

    fn answer(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        if conn.mood == Mood::NoPong {
            return;
        }
        conn.say(b"PONG\r\n");
        if !conn.welcomed {
            conn.welcomed = true;
            match conn.mood {
                Mood::PongThenClose => {
                    let arrives = self.rng.random_range(0..=conn.out.len());
                    conn.close(End::Eof, arrives);
                }
                // Newer servers say INFO again behind the first PONG.
                Mood::Normal => self.say_info(at),
                _ => {}
            }
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

    /// To every subscription that any server has; to one of a queue group, at whichever server it is: they are a cluster.
    pub(crate) fn route(&mut self, number: u64, subject: usize, size: usize, headers: bool) {
        let mut receivers: Vec<(usize, u64)> = Vec::new();
        let mut groups: [Vec<(usize, u64)>; SUBJECTS.len()] = Default::default();
        for at in self.active.iter().copied().filter(|at| self.conns[*at].open) {
            let subs = self.conns[at].subs.iter().filter(|(_, it)| content::matches(it.subject, subject));
            for (sid, interest) in subs {
                if interest.queue { groups[interest.subject].push((at, *sid)) } else { receivers.push((at, *sid)) }
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
