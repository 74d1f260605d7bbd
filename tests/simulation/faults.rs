//! What goes wrong.

use nats_lifeline::ServerAddr;
use nats_lifeline::engine::CloseHow;
use rand::RngExt;
use std::time::Instant;

use crate::conn::{End, Mood};
use crate::content::{PUBLISHED, SUBJECTS};
use crate::plan::ms;
use crate::script::say;
use crate::world::World;

impl World {
    /// One fault, somewhere.
    pub(crate) fn fault(&mut self) {
        match self.rng.random_range(0..100) {
            0..19 => self.cut(),
            19..22 => self.choke(),
            22..28 => self.half_open(),
            28..40 => self.stall(),
            40..52 => self.crash(),
            52..56 => self.go_dark(),
            56..60 => self.flip_auth(),
            60..68 => self.change_gossip(),
            68..73 => self.lame_duck(),
            73..80 => self.change_limits(),
            80..84 => self.speak_out("-ERR 'Stale Connection'\r\n", true),
            84..86 => self.speak_out("-ERR 'User Authentication Expired'\r\n", true),
            86..89 => self.speak_out("PING\r\n", false),
            89..91 => self.speak_out("INFO {\"max_payload\":\r\n", false),
            91..93 => self.speak_out("gibberish\r\n", false),
            93..95 => self.slow_consumer(),
            95 => self.deny(),
            96 => self.crowd(),
            97 => self.deafen(),
            _ => self.suspend(),
        }
    }

    /// A connection at the far end of which a server still is.
    fn some_conn(&mut self) -> Option<usize> {
        let at = self.driver.conn().filter(|_| self.rng.random_ratio(4, 5));
        let at =
            at.or_else(|| (!self.active.is_empty()).then(|| self.active[self.rng.random_range(0..self.active.len())]))?;
        self.conns[at].open.then_some(at)
    }

    fn some_end(&mut self) -> End {
        if self.rng.random_bool(0.5) { End::Eof } else { End::Reset }
    }

    /// Both directions end, each at a byte of its own, and writing fails sooner or later.
    fn cut(&mut self) {
        let Some(at) = self.some_conn() else { return };
        self.tally.fault("cut");
        let end = self.some_end();
        let conn = &mut self.conns[at];
        let (read, seen) = (conn.read, conn.seen);
        let (unread, unseen) = (conn.wire.taken - read, conn.output.bytes.len() - seen);
        let ends_at = read + self.rng.random_range(0..=unread + 60);
        let out_ends = seen + self.rng.random_range(0..=unseen + 30);
        conn.end_in(ends_at);
        conn.end_out(out_ends, end);
        if self.rng.random_bool(0.6) {
            conn.breaks_at = Some(conn.wire.taken + self.rng.random_range(0..60));
        }
        say!(self, "fault: connection {at} is cut at byte {ends_at} out, {out_ends} in, {end:?}");
        // An end after the last byte that the server will send is never reached: it comes now and then.
        self.cuts.push((self.now + ms(self.rng.random_range(0..400)), at, end));
    }

    /// Nothing goes either way any more, and nobody says so.
    fn half_open(&mut self) {
        let Some(at) = self.some_conn() else { return };
        self.tally.fault("half open");
        say!(self, "fault: connection {at} is half open");
        let conn = &mut self.conns[at];
        let (read, arrived) = (conn.read, conn.arrived);
        conn.end_in(read);
        conn.end_out(arrived, End::Silence);
    }

    /// The server goes on sending, and takes nothing more: only the write timeout finds out.
    fn choke(&mut self) {
        let Some(at) = self.some_conn() else { return };
        self.tally.fault("choke");
        say!(self, "fault: connection {at} is choked");
        let until = self.now + self.plan.config.write_timeout * 2;
        let conn = &mut self.conns[at];
        conn.window = conn.wire.taken - conn.read + self.rng.random_range(0..40);
        conn.reading_stalls = Some(until);
        // Something comes in all the time, so that no PING is missed.
        let mut next = self.now;
        while next < until {
            self.chatter.push((next, at));
            next += ms(150);
        }
    }

    /// Fault A10: what was between us and the server lives on without it: it says anything but PONG, for longer than anybody listens.
    fn deafen(&mut self) {
        let config = &self.plan.config;
        let patience = config.ping_interval.unwrap_or_default() * config.max_pings_out.max(1);
        let until = self.now + patience * 8;
        let Some(at) = self.some_conn().filter(|_| !patience.is_zero()) else { return };
        self.tally.fault("anything but PONG");
        say!(self, "fault: connection {at} gets no PONG any more");
        self.conns[at].mood = Mood::NoPong;
        let mut next = self.now;
        while next < until {
            self.chatter.push((next, at));
            next += patience / 8;
        }
    }

    fn stall(&mut self) {
        let Some(at) = self.some_conn() else { return };
        self.tally.fault("stall");
        let longest = [20, 300, 6000][self.rng.random_range(0..3)];
        let until = Some(self.now + ms(self.rng.random_range(1..longest)));
        let conn = &mut self.conns[at];
        match self.rng.random_range(0..3) {
            0 => conn.reading_stalls = until,
            1 => conn.sending_stalls = until,
            _ => (conn.reading_stalls, conn.sending_stalls) = (until, until),
        }
        say!(self, "fault: connection {at} stalls");
    }

    /// A server dies with all its connections, and comes back after a while with other limits.
    fn crash(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
        self.tally.fault("crash");
        say!(self, "fault: {} crashes", self.nodes[node].name);
        self.down(node);
        let limits = [200, 1000, 40_000, 1 << 20];
        let it = &mut self.nodes[node];
        it.max_payload = limits[self.rng.random_range(0..limits.len())];
        it.headers = self.rng.random_ratio(4, 5);
        it.denies = self.rng.random_ratio(1, 12).then(|| (self.rng.random_range(0..SUBJECTS.len()), self.rng.random()));
        self.denied |= it.denies.is_some();
        it.forbids = self.rng.random_ratio(1, 4).then(|| self.rng.random_range(0..PUBLISHED));
        it.room = if self.rng.random_ratio(1, 12) { self.rng.random_range(0..8) } else { usize::MAX };
        self.denied |= it.room < usize::MAX;
        it.lame = false;
    }

    pub(crate) fn down(&mut self, node: usize) {
        self.nodes[node].up = false;
        for at in self.active.clone() {
            if self.conns[at].node == node && self.conns[at].open {
                let end = self.some_end();
                let conn = &mut self.conns[at];
                let arrives = self.rng.random_range(conn.seen..=conn.output.bytes.len());
                conn.close(end, arrives);
                conn.breaks_at = Some(conn.wire.taken + self.rng.random_range(0..100));
            }
        }
    }

    fn go_dark(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
        self.tally.fault("dark");
        say!(self, "fault: {} goes dark", self.nodes[node].name);
        self.nodes[node].dark = true;
    }

    fn flip_auth(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
        self.tally.fault("auth flip");
        let accepts = &mut self.nodes[node].accepts_us;
        *accepts = !*accepts;
        say!(self, "fault: {} accepts us: {}", self.nodes[node].name, self.nodes[node].accepts_us);
    }

    fn change_gossip(&mut self) {
        self.tally.fault("gossip");
        let mut names: Vec<String> = self.nodes.iter().map(|node| node.name.clone()).collect();
        names.extend(["unknown:4222".to_owned(), "also unknown".to_owned()]);
        names.retain(|_| self.rng.random_bool(0.4));
        self.gossip = names;
        say!(self, "fault: gossip is {:?}", self.gossip);
        self.tell_all();
    }

    fn tell_all(&mut self) {
        for at in self.active.clone() {
            let conn = &self.conns[at];
            if conn.open && conn.welcomed && !matches!(conn.mood, Mood::Mute | Mood::BadInfo | Mood::PongFirst) {
                self.say_info(at);
            }
        }
    }

    fn lame_duck(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
        self.tally.fault("lame duck");
        say!(self, "fault: {} is a lame duck", self.nodes[node].name);
        self.nodes[node].lame = true;
        self.tell_all();
    }

    fn change_limits(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
        self.tally.fault("max_payload changes");
        let limits = [200, 1000, 40_000, 1 << 20];
        self.nodes[node].max_payload = limits[self.rng.random_range(0..limits.len())];
        say!(self, "fault: {} takes {} bytes", self.nodes[node].name, self.nodes[node].max_payload);
        self.tell_all();
    }

    fn speak_out(&mut self, bytes: &'static str, closes: bool) {
        let Some(at) = self.some_conn() else { return };
        if !self.conns[at].welcomed {
            return;
        }
        self.tally.fault(if closes { "-ERR and close" } else { "unasked bytes" });
        say!(self, "fault: connection {at} says {bytes:?}");
        let conn = &mut self.conns[at];
        conn.say(bytes.as_bytes());
        if closes {
            let arrives = conn.output.bytes.len();
            conn.close(End::Eof, arrives);
        }
    }

    /// A server gives up a client that does not read, in the middle of what it was sending.
    fn slow_consumer(&mut self) {
        let Some(at) = self.some_conn() else { return };
        let conn = &mut self.conns[at];
        if conn.output.bytes.len() == conn.seen {
            return;
        }
        self.tally.fault("slow consumer");
        say!(self, "fault: connection {at} was too slow");
        let arrives = self.rng.random_range(conn.seen..conn.output.bytes.len());
        conn.close(End::Eof, arrives);
    }

    fn deny(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
        // What was subscribed before is not taken away, so the server has to be new.
        if self.nodes[node].up {
            return;
        }
        self.tally.fault("permissions");
        self.denied = true;
        self.nodes[node].denies = Some((self.rng.random_range(0..SUBJECTS.len()), self.rng.random_bool(0.5)));
    }

    /// A server takes no more subscriptions of one connection than this, from now on.
    fn crowd(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
        self.tally.fault("few subscriptions");
        self.denied = true;
        self.nodes[node].room = self.rng.random_range(0..8);
    }

    /// The machine sleeps: many deadlines come at the same time.
    fn suspend(&mut self) {
        self.tally.fault("suspend");
        let slept = ms(self.rng.random_range(1000..150_000));
        say!(self, "fault: the machine sleeps for {slept:?}");
        self.now += slept;
        self.woke = Some((self.now, slept));
        // Nobody could have asked the transports meanwhile.
        for conn in &mut self.conns {
            conn.stuck = conn.stuck.map(|_| self.now);
        }
    }

    // What the network does with the client's wishes.

    /// What will come of dialling `addr`: when, and which server; `None`: nothing ever.
    pub(crate) fn dial(&mut self, addr: &ServerAddr) -> Option<(Instant, Option<usize>)> {
        let slow = if self.meddling { 20 } else { 3 };
        let at = self.now + ms(self.rng.random_range(0..slow));
        match self.nodes.iter().position(|node| node.name == addr.host()) {
            Some(node) if self.nodes[node].dark => None,
            node => Some((at, node)),
        }
    }

    /// How the server will treat the next connection.
    pub(crate) fn mood(&mut self) -> Mood {
        if !self.meddling || !self.rng.random_ratio(1, self.plan.moods) {
            return Mood::Normal;
        }
        let moods = [
            (Mood::Mute, "no INFO"),
            (Mood::CloseAtOnce, "accept and close"),
            (Mood::InfoThenClose, "INFO and close"),
            (Mood::BadInfo, "bad INFO"),
            (Mood::PongFirst, "PONG first"),
            (Mood::NoPong, "no PONG"),
            (Mood::Refuse("Authorization Violation"), "auth refused"),
            (Mood::Refuse("maximum connections exceeded"), "max connections"),
            (Mood::PongThenClose, "PONG and close"),
        ];
        let (mood, name) = moods[self.rng.random_range(0..moods.len())];
        self.tally.fault(name);
        mood
    }

    /// The client has left a connection; what its kernel still holds may reach the server, or not.
    pub(crate) fn leave(&mut self, at: usize, how: CloseHow) {
        self.check_left(at, how);
        let conn = &mut self.conns[at];
        conn.left = true;
        let (read, taken) = (conn.read, conn.wire.taken);
        let unseen = conn.arrived > conn.seen;
        let all = match how {
            CloseHow::Finish => true,
            // Unread bytes make a reset of a close.
            CloseHow::Drop => !unseen,
            CloseHow::Reset => false,
        };
        let end = if all { taken } else { self.rng.random_range(read..=taken) };
        conn.end_in(end);
    }
}
