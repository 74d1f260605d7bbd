//! What subscribers got, against what the servers sent them.

use std::collections::BTreeMap;

use nats_lifeline::options::Handover;

use crate::cluster::Cluster;
use crate::content::Id;
use crate::plan::Plan;
use crate::users::Book;

/// Those who read, as the servers name them.
pub(crate) const PLAIN: &str = "n.*";
pub(crate) const GROUP: &str = "n.* workers";
pub(crate) const FEW: &str = "n.>";

/// What came to each of them.
pub(crate) struct Came {
    pub(crate) plain: Vec<Id>,
    pub(crate) group: Vec<Id>,
    /// To the subscription with this limit.
    pub(crate) few: Vec<Id>,
    pub(crate) wanted: u64,
}

pub(crate) fn check(plan: &Plan, cluster: &Cluster, book: &Book, came: &Came) {
    if plan.handover == Handover::Exclusive {
        chained(cluster, PLAIN, &came.plain);
    }
    let ends = chained(cluster, FEW, &came.few);
    // I10. It ends when it has them all, and may not have got so far.
    assert!(came.few.len() as u64 <= came.wanted, "{} came, {} were wanted", came.few.len(), came.wanted);
    if came.few.len() as u64 == came.wanted {
        let known = ends.iter().any(|(at, taken)| cluster.conns[*at].sent_to(FEW).len() == *taken);
        assert!(known, "the last server did not get the rest of the limit {}", came.wanted);
    }
    group(plan, cluster, &came.group);
    if plan.calm {
        complete(plan, cluster, book, came);
    }
}

/// What came is what the connections sent, one after the other, each from its beginning. Tells where it may have ended: the
/// connection, and how many messages of it had come.
fn chained(cluster: &Cluster, name: &str, came: &[Id]) -> Vec<(usize, usize)> {
    let mut places = vec![(0, 0)];
    for (index, id) in came.iter().enumerate() {
        let mut then = Vec::new();
        for (at, taken) in &places {
            let sent = |at: usize, taken: usize| cluster.conns[at].sent_to(name).get(taken) == Some(id);
            if sent(*at, *taken) {
                then.push((*at, taken + 1));
            }
            then.extend((at + 1..cluster.conns.len()).filter(|at| sent(*at, 0)).map(|at| (at, 1)));
        }
        then.sort_unstable();
        then.dedup();
        assert!(!then.is_empty(), "{name}: message {index}, {id:?}, was not the next of any connection");
        places = then;
    }
    places
}

/// A group gets a message no more often than it was published.
fn group(plan: &Plan, cluster: &Cluster, came: &[Id]) {
    let sent = counted(cluster.conns.iter().flat_map(|conn| conn.sent_to(GROUP)));
    for (id, times) in counted(came) {
        assert!(times <= sent.get(&id).copied().unwrap_or(0), "{id:?} came {times} times, and was sent less often");
        assert!(times == 1 || plan.resends, "{id:?} came {times} times to the group");
    }
}

/// Servers were left as planned, and nothing else has happened: our own messages come to everybody once, our neighbour's to
/// the group, and to plain subscriptions as the handover says.
fn complete(plan: &Plan, cluster: &Cluster, book: &Book, came: &Came) {
    let (plain, group) = (counted(&came.plain), counted(&came.group));
    let times = |counts: &BTreeMap<Id, u64>, id: &Id| counts.get(id).copied().unwrap_or(0);
    let ours = cluster.processed.keys().filter(|(who, _)| !matches!(who, 'd' | 'e'));
    for id in ours.copied().chain((0..book.said).map(|number| ('y', number))) {
        assert_eq!(times(&group, &id), 1, "to the group, {id:?}");
        let came = times(&plain, &id);
        let fits = match (plan.handover, id.0) {
            (Handover::Overlap, _) => (1..=2).contains(&came),
            (_, 'y') => came <= 1,
            _ => came == 1,
        };
        assert!(fits, "{id:?} came {came} times, {:?}", plan.handover);
    }
}

fn counted<'a>(came: impl IntoIterator<Item = &'a Id>) -> BTreeMap<Id, u64> {
    let mut counts = BTreeMap::new();
    for id in came {
        *counts.entry(*id).or_default() += 1;
    }
    counts
}
