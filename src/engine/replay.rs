//! The replay: how a new server is sent the subscriptions, in pieces.

use super::asked::Asked;
use super::subscriptions::{Block, Line, Subscription, Subscriptions};

/// What a new server must be sent: SUB for each subscription, directly followed by its remaining count, if there is one. Those
/// that are made during the replay are sent too: sids only grow, so they come last. Those that end or begin to drain before
/// their turn are left out.
#[derive(Debug)]
pub(super) struct Replay {
    /// Those that the server has already, in order.
    known: Vec<u64>,
    /// Everything below this sid was sent.
    next: u64,
    pub(super) replayed: usize,
}

/// The usual length of SUB.
const USUAL: usize = 48;

impl Replay {
    /// Sends the whole table.
    pub(super) fn new() -> Replay {
        Replay::without(Vec::new())
    }

    /// The same for a server that already has the subscriptions `known`, in order.
    pub(super) fn without(known: Vec<u64>) -> Replay {
        Replay { replayed: known.len(), known, next: 0 }
    }

    /// Whether the server has `sid`.
    pub(super) fn passed(&self, sid: u64) -> bool {
        sid < self.next || self.known.binary_search(&sid).is_ok()
    }

    pub(super) fn is_done<H>(&self, table: &Subscriptions<H>) -> bool {
        !table.lines().reach(self.next)
    }

    /// The next piece, about `size` bytes.
    pub(super) fn piece<H>(&mut self, table: &Subscriptions<H>, asked: &mut Asked, size: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(size.min(table.len().saturating_mul(USUAL)));
        for (first, block) in table.lines().blocks_from(self.next) {
            match block.whole_from(first, self.next).filter(|_| self.known.is_empty()) {
                Some((lines, sids)) if out.len() + lines.len() <= size => {
                    out.extend_from_slice(lines);
                    self.next = sids.end();
                    self.replayed += sids.len();
                    asked.add_all(sids, table);
                }
                _ if self.add_lines(first, block, table, asked, (&mut out, size)) => {}
                _ => break,
            }
        }
        out
    }

    /// Adds the lines of a block one by one. Returns whether that was the whole rest of the block.
    fn add_lines<H>(
        &mut self,
        first: u64,
        block: &Block,
        table: &Subscriptions<H>,
        asked: &mut Asked,
        (out, size): (&mut Vec<u8>, usize),
    ) -> bool {
        for Line { sid, bytes, special } in block.lines_from(first, self.next) {
            if out.len() >= size {
                return false;
            }
            self.next = sid + 1;
            let left_out = special && table.get(sid).is_none_or(Subscription::is_draining);
            if left_out || self.known.binary_search(&sid).is_ok() {
                continue;
            }
            out.extend_from_slice(bytes);
            if special {
                table.encode_limit(sid, out);
            }
            asked.add(sid, table);
            self.replayed += 1;
        }
        true
    }
}
