//! What was given up on our side: it is what the policy and the age limit say, and no more.

use std::time::Duration;

use nats_lifeline::connection::{LossReason, Stats};
use nats_lifeline::options::OverflowPolicy;

use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::users::Book;

/// What was held for so much longer than it may be is not sent: runs of 10 ms, and up to 100 ms between the event of a loss
/// and the return of what was on its way.
const SLACK: Duration = Duration::from_millis(250);

pub(crate) fn check(plan: &Plan, cluster: &Cluster, book: &Book, stats: &Stats) {
    let count = |reason| book.lost.values().filter(|(why, _)| *why == reason).count() as u64;
    let handed_back = (count(LossReason::Overflow), count(LossReason::Expired));
    assert_eq!((stats.lost.overflow, stats.lost.expired), handed_back, "what is counted, and what was handed back");
    assert_eq!(stats.lost.total(), stats.lost.overflow + stats.lost.expired, "for no other reason: {stats:?}");
    if !matches!(plan.overflow, OverflowPolicy::DropOldest | OverflowPolicy::DropNewest) {
        assert_eq!(stats.lost.overflow, 0, "{:?} drops nothing", plan.overflow);
    }
    if plan.max_age.is_none() {
        assert_eq!(stats.lost.expired, 0, "nothing has an age");
    }
    if plan.overflow == OverflowPolicy::DropOldest && !plan.resends {
        oldest_first(cluster, book);
    }
    for id in &book.dropped {
        assert!(book.lost.contains_key(id), "{id:?} was dropped, and not handed back");
        assert!(!cluster.processed.contains_key(id), "{id:?} was dropped, and sent all the same");
    }
    if !plan.resends {
        let both: Vec<_> = book.lost.keys().filter(|id| cluster.processed.contains_key(id)).collect();
        assert!(both.is_empty(), "lost, and processed all the same: {both:?}");
    }
    if let Some(age) = plan.max_age {
        expired(plan, book, age);
        in_time(plan, cluster, book, age);
    }
}

/// Nobody's older message is left when a newer one is dropped, in one outage.
fn oldest_first(cluster: &Cluster, book: &Book) {
    for ((who, number), (reason, told)) in &book.lost {
        let Some(lost) = book.losses.iter().rev().find(|lost| *lost <= told) else { continue };
        let unconnected =
            cluster.conns.iter().filter_map(|conn| conn.since).all(|since| since <= *lost || since > *told);
        if *reason != LossReason::Overflow || !unconnected {
            continue;
        }
        let later = cluster.conns.iter().filter(|conn| conn.since.is_some_and(|since| since > *told));
        for older in later.flat_map(|conn| &conn.processed).filter(|(user, older)| user == who && older < number) {
            let held = book.accepted.get(older).is_some_and(|accepted| accepted > lost);
            assert!(!held, "{who} {number} was dropped, and {older:?}, which had waited for longer, was sent");
        }
    }
}

/// Nothing expires before its time.
fn expired(plan: &Plan, book: &Book, age: Duration) {
    for (id, (reason, told)) in &book.lost {
        if let (LossReason::Expired, Some(accepted)) = (reason, book.accepted.get(id)) {
            assert!(*told - *accepted > age, "{id:?} expired after {:?} of {age:?}, {plan:?}", *told - *accepted);
        }
    }
}

/// What was held for too long before a server was there is not sent. At most once it is held but once.
fn in_time(plan: &Plan, cluster: &Cluster, book: &Book, age: Duration) {
    if plan.resends {
        return;
    }
    for (at, conn) in cluster.conns.iter().enumerate() {
        let (Some(since), Some(used)) = (conn.since, conn.used) else { continue };
        if book.losses.iter().any(|lost| (since..=used).contains(lost)) {
            // It was ready while the one before still carried: nothing was held then.
            continue;
        }
        let lost = book.losses.iter().rev().find(|lost| **lost <= since);
        for id in &conn.processed {
            let Some(accepted) = book.accepted.get(id) else { continue };
            let held = since.saturating_duration_since(lost.map_or(*accepted, |lost| *accepted.max(lost)));
            assert!(held <= age + SLACK, "connection {at}: {id:?} was held for {held:?}, {age:?} is the limit");
        }
    }
}
