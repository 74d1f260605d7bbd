//! The JetStream of a broker for a test: look at it, and break it.

use super::broker::Broker;
use super::hosting::Host;
use super::jetstream::{ConsumerState, NewPulls, WaitingPulls};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// The JetStream of a [`Broker`], or of the brokers of a cluster: its streams, and its faults. Made by
/// [`Broker::jetstream`].
///
/// Faults that count wait for as many occasions, whichever stream or consumer has them. Setting one again replaces what is left
/// of it; 0 cancels it.
///
/// ```
/// # #[cfg(feature = "jetstream")] {
/// use nats_lifeline::jetstream;
/// use nats_lifeline::testing::Broker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::builder().jetstream(true).start().await?;
/// let context = jetstream::new(nats_lifeline::connect(broker.url()).await?);
/// context.create_stream("orders").await?;
///
/// // The message is stored, and its publisher never learns of it.
/// broker.jetstream().lose_publish_acks(1);
/// let ack = context.publish("orders", "four wheels".into()).await?;
/// assert!(tokio::time::timeout(std::time::Duration::from_millis(50), ack).await.is_err());
/// assert_eq!(broker.jetstream().messages("orders").len(), 1);
/// # Ok(())
/// # }
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Streams<'a> {
    host: &'a Host,
}

/// A message of a stream of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMessage {
    /// Its number in the stream.
    pub sequence: u64,
    /// The subject that it was published to.
    pub subject: String,
    /// The raw header block; empty without headers.
    pub headers: Bytes,
    /// The payload.
    pub payload: Bytes,
}

impl Broker {
    /// The JetStream of this broker, or of its cluster. It has no streams unless the broker was built with
    /// [`jetstream`](super::Builder::jetstream).
    #[must_use]
    pub fn jetstream(&self) -> Streams<'_> {
        Streams { host: &self.node.fabric.host }
    }
}

/// Looking.
impl Streams<'_> {
    /// The names of all streams.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.host.look(|model| model.stream_names().map(str::to_owned).collect())
    }

    /// The names of a stream's consumers; none if there is no such stream.
    #[must_use]
    pub fn consumers(&self, stream: &str) -> Vec<String> {
        self.host.look(|model| model.consumer_names(stream).map(str::to_owned).collect())
    }

    /// The messages of a stream, oldest first; none if there is no such stream.
    #[must_use]
    pub fn messages(&self, stream: &str) -> Vec<StoredMessage> {
        self.host.look(|model| {
            let all = model.messages(stream).map(|(sequence, subject, headers, payload)| StoredMessage {
                sequence,
                subject: subject.to_owned(),
                headers: Bytes::copy_from_slice(headers),
                payload: Bytes::copy_from_slice(payload),
            });
            all.collect()
        })
    }

    /// Where a consumer stands; `None` if it does not exist.
    #[must_use]
    pub fn consumer(&self, stream: &str, consumer: &str) -> Option<ConsumerState> {
        self.host.look(|model| model.consumer(stream, consumer))
    }
}

/// Breaking.
impl Streams<'_> {
    /// A consumer loses its leader for this long. Meanwhile nothing is delivered and acknowledgements reach nobody; its state
    /// survives. `waiting` says what becomes of the pulls that wait now, `pulls` what those get that come meanwhile. Returns
    /// `false` if the consumer does not exist.
    ///
    /// ```
    /// use nats_lifeline::testing::{Broker, NewPulls, WaitingPulls};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let broker = Broker::builder().jetstream(true).start().await?;
    /// let lasts = Duration::from_millis(200);
    /// let found = broker.jetstream().elect("orders", "worker", lasts, NewPulls::NoResponders, WaitingPulls::Vanish);
    /// assert!(!found, "this program has created no consumer");
    /// # Ok(())
    /// # }
    /// ```
    pub fn elect(&self, stream: &str, consumer: &str, lasts: Duration, pulls: NewPulls, waiting: WaitingPulls) -> bool {
        self.host.turn(|model, _, out| model.elect(stream, consumer, lasts, pulls, waiting, super::hosting::now(), out))
    }

    /// The next pulls arrive, and nothing comes of them: no message and no status.
    pub fn swallow_pulls(&self, pulls: u64) {
        self.host.turn(|model, _, _| model.swallow_pulls(pulls));
    }

    /// The next acknowledgements are lost on their way, and so is whatever else messages are answered.
    pub fn lose_acks(&self, acks: u64) {
        self.host.turn(|model, _, _| model.lose_acks(acks));
    }

    /// The next published messages are stored, and their publishers are not answered.
    pub fn lose_publish_acks(&self, acks: u64) {
        self.host.turn(|model, _, _| model.lose_publish_acks(acks));
    }

    /// The next deliveries are lost on their way. They count as delivered.
    pub fn lose_deliveries(&self, deliveries: u64) {
        self.host.turn(|model, _, _| model.lose_deliveries(deliveries));
    }

    /// The next deliveries arrive twice.
    pub fn double_deliveries(&self, deliveries: u64) {
        self.host.turn(|model, _, _| model.double_deliveries(deliveries));
    }

    /// The next deliveries arrive this much later, perhaps after others.
    pub fn delay_deliveries(&self, deliveries: u64, by: Duration) {
        self.host.turn(|model, _, _| model.delay_deliveries(deliveries, by));
    }

    /// A consumer vanishes without a status for its pulls. Returns `false` if it did not exist.
    pub fn lose_consumer(&self, stream: &str, consumer: &str) -> bool {
        self.host.turn(|model, _, _| model.lose_consumer(stream, consumer))
    }

    /// A stream and its consumers are offline for this long: what is sent to them gets status 503, if it wants an answer.
    /// Returns `false` if the stream does not exist.
    pub fn take_offline(&self, stream: &str, lasts: Duration) -> bool {
        self.host.turn(|model, _, _| model.take_offline(stream, lasts, super::hosting::now()))
    }

    /// How many bytes a push consumer with flow control sends before it waits for an answer; it asks after half of them. As a
    /// server, it begins with 2 MiB and doubles that up to 32 MiB. Returns `false` if the consumer does not exist.
    pub fn set_flow_window(&self, stream: &str, consumer: &str, bytes: u64) -> bool {
        self.host.turn(|model, _, _| model.set_flow_window(stream, consumer, bytes))
    }
}

impl fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("names", &self.names()).finish()
    }
}
