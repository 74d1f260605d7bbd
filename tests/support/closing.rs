//! The end of a test with cuts: compares the received messages with the client's account.

use nats_lifeline::Client;

use super::{RawClient, RawMessage, soon};

/// Ends a case in which `accepted` messages were accepted. Waits until all are settled; then the client's account must
/// balance, and agree with the messages that a server has passed on to the observer, which gets all of them. Returns
/// those, in order of arrival.
pub(crate) async fn settle(case: &str, client: &Client, observer: &mut RawClient, accepted: u64) -> Vec<RawMessage> {
    // The first flush may report messages in doubt. The next one can then be Ok.
    let _ = soon("an answer", client.flush()).await;
    soon("a flush", client.flush()).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    let got = observer.received().await;
    let stats = client.stats();
    assert!(stats.balances() && stats.lost.total() == 0, "{case}: {stats:?}");
    assert_eq!(stats.accepted, accepted, "{case}: {stats:?}");
    assert_eq!(stats.confirmed + stats.in_doubt, accepted, "{case}: {stats:?}");
    assert!(got.len() as u64 >= stats.confirmed, "{case}: confirmed means that the server has it: {stats:?}, {got:?}");
    got
}
