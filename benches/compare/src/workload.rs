//! The workloads: what each one does, how much of it, and its goals.

use Needs::{Server, Sink, Source};
use Target::{CpuOfPeer, OfBound, P50OfBound, RateOfPeer};
use Work::{Loop, Publish, Request, Subscribe};

/// The subject of everything.
pub(crate) const SUBJECT: &str = "bench.subject";

/// The subject of requests.
pub(crate) const SERVICE: &str = "bench.service";

/// The message after all others, if a real server is at the far end.
pub(crate) const LAST: &str = "bench.last";

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
    /// Bytes.
    pub(crate) payload: usize,
    pub(crate) messages: u64,
    pub(crate) far_end: Needs,
    /// Whether raw sockets can do the same, as an upper bound.
    pub(crate) bound: bool,
    pub(crate) targets: &'static [Target],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// This many tasks publish through one client.
    Publish { tasks: u64, headers: Headers },
    /// One subscription is read to its end.
    Subscribe,
    /// One client publishes and receives its own messages.
    Loop,
    /// This many tasks send requests through one client, each one at a time.
    Request { tasks: u64 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headers {
    No,
    /// A new map with two headers for each message.
    Made,
    /// One map with two headers is cloned for each message.
    Cloned,
}

/// The far end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A server that counts and discards.
    Sink,
    /// A server that sends as fast as it can.
    Source,
    /// The server of `--server`.
    Server,
}

#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// At least this many times the messages per second of async-nats.
    RateOfPeer(f64),
    /// At most this fraction of the CPU time per message of async-nats.
    CpuOfPeer(f64),
    /// At least this fraction of the messages per second of raw sockets.
    OfBound(f64),
    /// At most this many times the median round trip of raw sockets.
    P50OfBound(f64),
}

const fn publish(tasks: u64, headers: Headers) -> Work {
    Publish { tasks, headers }
}

#[rustfmt::skip]
pub(crate) const ALL: &[Workload] = &[
    Workload { name: "pub16", work: publish(1, Headers::No), payload: 16, messages: 6_000_000, far_end: Sink, bound: true,
        targets: &[RateOfPeer(5.0), CpuOfPeer(1.0 / 6.0)] },
    Workload { name: "pub16x4", work: publish(4, Headers::No), payload: 16, messages: 6_000_000, far_end: Sink, bound: true,
        targets: &[RateOfPeer(5.0)] },
    Workload { name: "pub1k", work: publish(1, Headers::No), payload: 1024, messages: 1_500_000, far_end: Sink, bound: true,
        targets: &[OfBound(0.9)] },
    Workload { name: "pub64k", work: publish(1, Headers::No), payload: 65_536, messages: 40_000, far_end: Sink, bound: true,
        targets: &[OfBound(0.95)] },
    Workload { name: "pubhdr", work: publish(1, Headers::Made), payload: 16, messages: 1_500_000, far_end: Sink, bound: true,
        targets: &[RateOfPeer(6.0)] },
    Workload { name: "pubhdrc", work: publish(1, Headers::Cloned), payload: 16, messages: 1_500_000, far_end: Sink, bound: true,
        targets: &[RateOfPeer(6.0)] },
    Workload { name: "sub16", work: Subscribe, payload: 16, messages: 4_000_000, far_end: Source, bound: true,
        targets: &[RateOfPeer(6.0), CpuOfPeer(0.125)] },
    Workload { name: "sub1k", work: Subscribe, payload: 1024, messages: 1_000_000, far_end: Source, bound: true,
        targets: &[OfBound(0.9)] },
    Workload { name: "pub16srv", work: publish(1, Headers::No), payload: 16, messages: 3_000_000, far_end: Server, bound: true,
        targets: &[OfBound(0.95)] },
    Workload { name: "pubsub128", work: Loop, payload: 128, messages: 1_000_000, far_end: Server, bound: false,
        targets: &[RateOfPeer(1.25), CpuOfPeer(0.25)] },
    Workload { name: "req64", work: Request { tasks: 64 }, payload: 16, messages: 100_000, far_end: Server, bound: false,
        targets: &[RateOfPeer(1.5), CpuOfPeer(0.6)] },
    Workload { name: "req1", work: Request { tasks: 1 }, payload: 16, messages: 8_000, far_end: Server, bound: true,
        targets: &[P50OfBound(1.1)] },
];

impl Workload {
    /// What a program in another language needs to know: work, tasks, headers and bytes of payload.
    pub(crate) fn spelled_out(&self) -> [String; 4] {
        let (work, tasks, headers) = match self.work {
            Publish { tasks, headers } => ("publish", tasks, headers),
            Subscribe => ("subscribe", 1, Headers::No),
            Loop => ("loop", 1, Headers::No),
            Request { tasks } => ("request", tasks, Headers::No),
        };
        let headers = match headers {
            Headers::No => "no",
            Headers::Made => "made",
            Headers::Cloned => "cloned",
        };
        [work.to_owned(), tasks.to_string(), headers.to_owned(), self.payload.to_string()]
    }

    pub(crate) fn named(name: &str) -> Option<&'static Workload> {
        ALL.iter().find(|workload| workload.name == name)
    }
}

/// The names and values of the two headers.
pub(crate) const HEADERS: [(&str, &str); 2] = [("Trace-Id", "4bf92f3577b34da6"), ("Content-Type", "text/plain")];

/// A whole PUB or HPUB.
pub(crate) fn frame(subject: &str, headers: Headers, payload: &[u8]) -> Vec<u8> {
    let mut block = String::new();
    if headers != Headers::No {
        block.push_str("NATS/1.0\r\n");
        for (name, value) in HEADERS {
            block.push_str(&format!("{name}: {value}\r\n"));
        }
        block.push_str("\r\n");
    }
    let total = block.len() + payload.len();
    let line = if block.is_empty() {
        format!("PUB {subject} {total}\r\n")
    } else {
        format!("HPUB {subject} {} {total}\r\n", block.len())
    };
    [line.as_bytes(), block.as_bytes(), payload, b"\r\n"].concat()
}
