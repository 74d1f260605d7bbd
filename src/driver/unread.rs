//! Inboxes that had messages to read when their subscriptions ended: how many they still have is reported when the client ends.

use std::sync::{Arc, Weak};

use super::inbox::Inbox;

/// Inboxes of ended subscriptions. Those that were read or dropped since are forgotten now and then.
#[derive(Debug, Default)]
pub(super) struct UnreadInboxes {
    inboxes: Vec<Weak<Inbox>>,
    /// They are looked through when there are this many.
    most: usize,
}

/// With fewer it is not worth looking. Arbitrary.
const FEW: usize = 64;

impl UnreadInboxes {
    /// The subscription of `inbox` has ended.
    pub(super) fn add(&mut self, inbox: &Arc<Inbox>) {
        if inbox.pending().0 == 0 {
            return;
        }
        if self.inboxes.len() >= self.most.max(FEW) {
            self.inboxes.retain(|inbox| unread(inbox) > 0);
            self.most = self.inboxes.len() * 2;
        }
        self.inboxes.push(Arc::downgrade(inbox));
    }

    /// How many messages somebody can still read.
    pub(super) fn messages(&self) -> u64 {
        self.inboxes.iter().map(unread).sum()
    }
}

fn unread(inbox: &Weak<Inbox>) -> u64 {
    inbox.upgrade().map_or(0, |inbox| inbox.pending().0 as u64)
}
