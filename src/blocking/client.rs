//! The client: a handle of the async one, and its thread.

use std::fmt;

use super::wait::Home;

/// A connection to NATS that survives the loss of its servers, for programs without async code.
///
/// Clones share one connection, and can be used on many threads at a time. It ends when the last clone,
/// [`Subscriber`](super::Subscriber) and async handle is dropped; if a server is connected, accepted messages are sent
/// first, for up to a second. Every call returns within its own deadline, in every state, and panics only on the
/// client's own thread (see the [module](super)).
///
/// ```
/// # use nats_lifeline::testing::Broker;
/// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
/// # let broker = runtime.block_on(Broker::start())?;
/// # let server = broker.url();
/// let client = nats_lifeline::blocking::connect(server)?;
/// let mut questions = client.subscribe("weather")?;
/// let responder = client.clone();
/// let answering = std::thread::spawn(move || {
///     let reply = questions.next().and_then(|question| question.reply);
///     reply.map(|reply| responder.publish(reply, "sunny".into()))
/// });
/// let answer = client.request("weather", "and tomorrow?".into())?;
/// assert_eq!(answer.payload, "sunny");
/// # answering.join().unwrap().unwrap()?;
/// # Ok::<(), nats_lifeline::Error>(())
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) client: crate::Client,
    pub(super) home: Home,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}

impl Client {
    pub(super) fn new(client: crate::Client, home: Home) -> Client {
        Client { client, home }
    }

    /// A handle of the same connection for async code, on any runtime. It keeps the connection and its thread alive.
    ///
    /// ```
    /// # use nats_lifeline::testing::Broker;
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    /// # let broker = runtime.block_on(Broker::start())?;
    /// # let client = nats_lifeline::blocking::connect(broker.url())?;
    /// let async_client = client.async_client();
    /// # runtime.block_on(async {
    /// async_client.publish("orders.new", "four wheels".into()).await?;
    /// # Ok::<(), nats_lifeline::Error>(())
    /// # })?;
    /// # Ok::<(), nats_lifeline::Error>(())
    /// ```
    pub fn async_client(&self) -> crate::Client {
        self.client.clone()
    }
}
