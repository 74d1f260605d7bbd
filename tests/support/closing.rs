//! How a test with cuts ends: what arrived, held against what the client says of it.

use nats_lifeline::Client;

use super::{RawClient, RawMessage, soon};

/// Ends a case in which `accepted` messages were accepted. Waits until all are settled; then the client's account must hold,
/// and agree with what a server has passed on to the observer, to whom all of them go. Returns that, in the order of arrival.
pub(crate) async fn settle(case: &str, client: &Client, observer: &mut RawClient, accepted: u64) -> Vec<RawMessage> {
    // The first may tell what is in doubt. The next can be Ok then.
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
