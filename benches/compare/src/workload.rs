//! What a workload is: its work, its size, and its goals. `table.rs` lists them.

use crate::contender::Contender;
use crate::figures::Metric;

/// The subject of everything.
pub(crate) const SUBJECT: &str = "bench.subject";

/// The subject of requests.
pub(crate) const SERVICE: &str = "bench.service";

/// The message after all others, if a real server is at the far end.
pub(crate) const LAST: &str = "bench.last";

/// The stream, its subject, and its consumer.
pub(crate) const STREAM: &str = "BENCH";
pub(crate) const STORED: &str = "bench.stored";
pub(crate) const CONSUMER: &str = "bench";

/// Messages whose acknowledgement may be pending.
pub(crate) const IN_FLIGHT: usize = 4_000;

/// Messages that a consumer's stream asks for at a time.
pub(crate) const BATCH: usize = 500;

/// Begins the subjects of idle subscriptions.
pub(crate) const IDLE: &str = "bench.idle.";

/// The names and values of the two headers.
pub(crate) const HEADERS: [(&str, &str); 2] = [("Trace-Id", "4bf92f3577b34da6"), ("Content-Type", "text/plain")];

/// A row of the results.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    pub(crate) section: Section,
    pub(crate) work: Work,
    /// Tasks, threads or goroutines that share the work.
    pub(crate) tasks: u64,
    /// Bytes.
    pub(crate) payload: usize,
    /// Messages, or whatever else the work counts: subscriptions, clients, connects, outages.
    pub(crate) messages: u64,
    pub(crate) far_end: Needs,
    pub(crate) tls: bool,
    /// Whether raw sockets can do the same, as a bound.
    pub(crate) bound: bool,
    /// At most this many rounds, for figures that hardly vary.
    pub(crate) rounds: usize,
    pub(crate) goals: &'static [Goal],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Publish,
    Receive,
    Server,
    Tls,
    Memory,
    Connection,
    JetStream,
}

impl Section {
    pub(crate) const ALL: [Self; 7] =
        [Self::Publish, Self::Receive, Self::Server, Self::Tls, Self::Memory, Self::Connection, Self::JetStream];
}

/// The kinds of work. A child process gets the word of `WORDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Publish,
    /// With two headers, in a new map for each message.
    PublishHeaders,
    /// With two headers, in one map that is cloned for each message.
    PublishCloned,
    /// Through a handle for the subject, if the client has one.
    PublishHandle,
    /// Through such a handle, in batches.
    PublishBatch,
    /// One subscription is read to its end.
    Subscribe,
    /// In batches, if the client has them.
    SubscribeBatch,
    /// One client publishes and receives its own messages.
    Loop,
    /// Each task sends one request at a time.
    Request,
    /// Requests are sent on a fixed schedule.
    Paced,
    /// Idle subscriptions of one client; memory is measured.
    Subscriptions,
    /// Idle clients of one process; memory is measured.
    Clients,
    /// Subscriptions are sent again after each of several outages.
    Replay,
    /// Connects, subscribes and receives a message, again and again.
    Connect,
    /// A publishing client loses its server and goes to another.
    Failover,
    /// Likewise, without any delay before an attempt.
    FailoverEager,
    /// Stores messages, one at a time.
    Store,
    /// Stores messages, with many acknowledgements pending.
    StoreMany,
    /// Reads a pull consumer's stream of messages.
    Pull,
    /// The same, and acknowledges each.
    PullAcked,
    /// Fetches as many messages as there are tasks, again and again.
    Fetch,
    /// Reads an ordered consumer.
    Ordered,
}

const WORDS: [(Work, &str); 22] = [
    (Work::Publish, "publish"),
    (Work::PublishHeaders, "publish-headers"),
    (Work::PublishCloned, "publish-cloned"),
    (Work::PublishHandle, "publish-handle"),
    (Work::PublishBatch, "publish-batch"),
    (Work::Subscribe, "subscribe"),
    (Work::SubscribeBatch, "subscribe-batch"),
    (Work::Loop, "loop"),
    (Work::Request, "request"),
    (Work::Paced, "paced"),
    (Work::Subscriptions, "subscriptions"),
    (Work::Clients, "clients"),
    (Work::Replay, "replay"),
    (Work::Connect, "connect"),
    (Work::Failover, "failover"),
    (Work::FailoverEager, "failover-eager"),
    (Work::Store, "store"),
    (Work::StoreMany, "store-many"),
    (Work::Pull, "pull"),
    (Work::PullAcked, "pull-acked"),
    (Work::Fetch, "fetch"),
    (Work::Ordered, "ordered"),
];

impl Work {
    pub(crate) fn word(self) -> &'static str {
        WORDS.iter().find(|(work, _)| *work == self).map_or("", |(_, word)| word)
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, known)| *known == word).map(|(work, _)| *work)
    }

    pub(crate) fn publishes(self) -> bool {
        use Work::{Publish, PublishBatch, PublishCloned, PublishHandle, PublishHeaders};
        matches!(self, Publish | PublishHeaders | PublishCloned | PublishHandle | PublishBatch)
    }

    /// Whether the far end has to store the messages before.
    pub(crate) fn reads_a_stream(self) -> bool {
        matches!(self, Self::Pull | Self::PullAcked | Self::Fetch | Self::Ordered)
    }

    /// Whether its messages carry headers.
    pub(crate) fn with_headers(self) -> bool {
        matches!(self, Self::PublishHeaders | Self::PublishCloned)
    }

    /// Whether only the far end sees the end of the work, and then tells the child.
    pub(crate) fn ends_at_far_end(self) -> bool {
        self.publishes() || self.is_outage()
    }

    /// Whether the far end times the work, by closing connections.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::Replay | Self::Failover | Self::FailoverEager)
    }

    /// What a reader wants to know first.
    pub(crate) fn main_metric(self, tasks: u64) -> Metric {
        match self {
            Self::Request if tasks == 1 => Metric::Median,
            Self::Paced | Self::Replay | Self::Connect | Self::Failover | Self::FailoverEager => Metric::Median,
            Self::Store | Self::Fetch => Metric::Median,
            Self::Subscriptions | Self::Clients => Metric::Bytes,
            _ => Metric::Rate,
        }
    }

    /// Whether CPU time per message says something.
    pub(crate) fn has_cpu(self) -> bool {
        !matches!(self, Self::Subscriptions | Self::Clients | Self::Failover | Self::FailoverEager)
    }
}

/// The far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A server that counts and discards.
    Sink,
    /// A server that sends as fast as it can.
    Source,
    /// A real nats-server.
    Server,
    /// A stream on a real nats-server, in memory or in files.
    Stream { files: bool },
    /// A server that closes connections and times what follows.
    Outages,
}

/// What to reach, as the ratio of this client's metric to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) metric: Metric,
    pub(crate) than: Than,
    pub(crate) limit: Limit,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Than {
    Contender(Contender),
    /// This client's own figure in another row.
    Row(&'static str),
    /// No ratio: an absolute figure.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Least(f64),
    Most(f64),
}

impl Workload {
    pub(crate) fn main_metric(&self) -> Metric {
        self.work.main_metric(self.tasks)
    }

    /// Whether it is about small messages in one direction.
    pub(crate) fn is_light(&self) -> bool {
        self.payload < 1024 && (self.work.publishes() || matches!(self.work, Work::Subscribe | Work::SubscribeBatch))
    }

    /// Whether this contender takes part.
    pub(crate) fn has(&self, contender: Contender) -> bool {
        match contender {
            Contender::Lifeline | Contender::AsyncNats => true,
            // By default they don't wait in `failover` either.
            Contender::NatsGo => self.work != Work::FailoverEager,
            // It has no way to start a request without a thread that waits for it.
            Contender::NatsC => {
                !matches!(self.work, Work::FailoverEager | Work::Paced) && self.section != Section::JetStream
            }
            Contender::Raw => self.bound,
        }
    }
}
