//! The operations that are counted.

use protocol_bench::cases;

/// The client's work for one message, as far as the program's side of the socket is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// `Client::publish`.
    Publish { payload: usize },
    /// `Client::publish_with_headers`, with a new map of two headers for each message.
    PublishHeaders { payload: usize },
    /// The same with clones of one map.
    PublishHeadersCloned { payload: usize },
    /// `Publisher::publish`.
    Publisher { payload: usize },
    /// `Publisher::publish_batch`, 100 messages at a time.
    PublisherBatch { payload: usize },
    /// A `Subscriber` as a stream.
    Receive { payload: usize },
    /// `Subscriber::next_batch`.
    ReceiveBatch { payload: usize },
    /// `Client::request`, this many at a time.
    Request { payload: usize, tasks: u64 },
    /// `jetstream::Context::publish`, with many acknowledgements pending.
    Store { payload: usize },
    /// A `jetstream::consumer::pull::Stream`; `acks`: each message is acknowledged.
    Pull { payload: usize, acks: bool },
}

/// The client's operations by name.
const CLIENT: [(&str, Work); 14] = [
    ("publish/16", Work::Publish { payload: 16 }),
    ("publish/1024", Work::Publish { payload: 1024 }),
    ("publish headers/16", Work::PublishHeaders { payload: 16 }),
    ("publish headers cloned/16", Work::PublishHeadersCloned { payload: 16 }),
    ("publisher/16", Work::Publisher { payload: 16 }),
    ("publisher batch/16", Work::PublisherBatch { payload: 16 }),
    ("receive/16", Work::Receive { payload: 16 }),
    ("receive/1024", Work::Receive { payload: 1024 }),
    ("receive batch/16", Work::ReceiveBatch { payload: 16 }),
    ("request/16", Work::Request { payload: 16, tasks: 1 }),
    ("request 64/16", Work::Request { payload: 16, tasks: 64 }),
    ("store/16", Work::Store { payload: 16 }),
    ("pull/16", Work::Pull { payload: 16, acks: false }),
    ("pull and ack/16", Work::Pull { payload: 16, acks: true }),
];

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// The whole client at work.
    Client { name: &'static str, work: Work },
    /// One case of the decoder or the encoder alone.
    Protocol { name: String },
}

impl Operation {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Client { name, .. } => name,
            Self::Protocol { name } => name,
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        all().into_iter().find(|operation| operation.name() == name)
    }

    /// How many operations the shorter run has; the longer one has twice as many.
    pub(crate) fn times(&self) -> u64 {
        match self {
            Self::Client { work: Work::Request { tasks: 1, .. }, .. } => 5_000,
            Self::Client { work: Work::Request { tasks, .. }, .. } => 300 * tasks,
            Self::Client { .. } => 100_000,
            Self::Protocol { .. } => 20_000,
        }
    }

    /// How often it is counted; the median is used. How much one read of a socket returns differs from run to run, and with
    /// it the client's work.
    pub(crate) fn repetitions(&self) -> usize {
        match self {
            Self::Client { .. } => 3,
            Self::Protocol { .. } => 1,
        }
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Operation> {
    let client = CLIENT.into_iter().map(|(name, work)| Operation::Client { name, work });
    client.chain(cases().into_iter().map(|case| Operation::Protocol { name: case.name })).collect()
}
