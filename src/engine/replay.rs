//! The replay: how a new server is sent the subscriptions, in pieces.

use super::asked::Asked;
use super::subscriptions::Subscriptions;

/// What a new server must be sent: SUB for each subscription, directly followed by its remaining count, if there is one.
#[derive(Debug)]
pub(super) struct Replay {
    /// Those that the server has already, in order.
    known: Vec<u64>,
    sids: Vec<u64>,
    next: usize,
    pub(super) replayed: usize,
}

/// The usual length of SUB.
const USUAL: usize = 48;

impl Replay {
    pub(super) fn of<H>(table: &Subscriptions<H>) -> Replay {
        Replay::without(table, Vec::new())
    }

    /// The same for a server that already has the subscriptions `known`, in order.
    pub(super) fn without<H>(table: &Subscriptions<H>, known: Vec<u64>) -> Replay {
        let mut sids = table.living();
        if !known.is_empty() {
            sids.retain(|sid| known.binary_search(sid).is_err());
        }
        Replay { replayed: known.len(), known, sids, next: 0 }
    }

    /// A subscription that was made in the meantime. Sids only grow, so it comes last.
    pub(super) fn add(&mut self, sid: u64) {
        self.sids.push(sid);
    }

    /// Whether the server has `sid`.
    pub(super) fn passed(&self, sid: u64) -> bool {
        self.sids.get(self.next).is_none_or(|next| sid < *next) || self.known.binary_search(&sid).is_ok()
    }

    pub(super) fn is_done(&self) -> bool {
        self.next == self.sids.len()
    }

    /// The next piece, about `size` bytes.
    pub(super) fn piece<H>(&mut self, table: &Subscriptions<H>, asked: &mut Asked, size: usize) -> Vec<u8> {
        let left = self.sids.len() - self.next;
        let mut out = Vec::with_capacity(size.min(left.saturating_mul(USUAL)));
        while out.len() < size {
            let Some(sid) = self.sids.get(self.next) else { break };
            self.next += 1;
            // Otherwise it has ended in the meantime.
            if let Some(subscription) = table.get(*sid) {
                subscription.encode(*sid, &mut out);
                asked.add(*sid, subscription.interest());
                self.replayed += 1;
            }
        }
        out
    }
}
