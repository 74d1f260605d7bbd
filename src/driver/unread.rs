//! Inboxes with unread messages after the end of their subscriptions; the client reports the number when it ends.

use std::sync::{Arc, Weak};

use super::inbox::Inbox;

/// Inboxes of ended subscriptions. Those that were read or dropped since are removed now and then.
#[derive(Debug, Default)]
pub(super) struct UnreadInboxes {
    inboxes: Vec<Weak<Inbox>>,
    /// They are searched when there are this many.
    most: usize,
}

/// Fewer are not worth a search. Arbitrary.
const FEW: usize = 64;

impl UnreadInboxes {
    /// The subscription of `inbox` has ended.
    pub(super) fn add(&mut self, inbox: &Arc<Inbox>) {
        if inbox.unread() == 0 {
            return;
        }
        if self.inboxes.len() >= self.most.max(FEW) {
            self.inboxes.retain(|inbox| unread(inbox) > 0);
            self.most = self.inboxes.len() * 2;
        }
        self.inboxes.push(Arc::downgrade(inbox));
    }

    /// How many messages can still be read.
    pub(super) fn messages(&self) -> u64 {
        self.inboxes.iter().map(unread).sum()
    }
}

fn unread(inbox: &Weak<Inbox>) -> u64 {
    inbox.upgrade().map_or(0, |inbox| inbox.unread())
}
