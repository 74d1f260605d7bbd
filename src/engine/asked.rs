//! The SUBs that a server has not answered yet. A server refuses them in the order in which they were sent, and before the PONG
//! that follows: what a PONG covers and was not refused has been accepted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::names::Names;
use super::subscriptions::{Sids, Subscriptions};

/// The SUBs sent on one connection since its last PONG.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The sids, ascending.
    fresh: VecDeque<u64>,
    /// How many sids were removed from the front of `fresh`.
    passed: u64,
    /// Sids whose SUB was sent out of order, for instance a second time, each with a sequence number.
    again: BTreeMap<u64, u64>,
    /// The same SUBs by that number, and whether the server may have known the sid already. In that case it refuses the SUB but
    /// keeps serving the subscription.
    order: BTreeMap<u64, (u64, bool)>,
    /// How many were ever put into `again`.
    repeated: u64,
    /// The last sid whose SUB was admitted as a frame.
    framed: u64,
    /// The subjects of those that have left the table since: an answer may still come.
    gone: BTreeMap<u64, Box<[u8]>>,
    /// An index of all of them by name, built once one was refused.
    names: Option<Names>,
    /// How many SUBs the server has refused without naming them since the last PONG: it has reached its limit.
    unnamed: u64,
    /// How many subscriptions ever ended, each of which made room at the server.
    left: u64,
    /// The value of `left` when the PING was sent that the last PONG answered.
    left_before: u64,
    /// Those that it has refused by name: it never had them.
    refused: BTreeSet<u64>,
}

/// How many ended subscriptions are remembered in case the server is slow to answer. Arbitrary.
const GONE: usize = 64 * 1024;

/// Which SUBs a PING follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AskedUpTo {
    fresh: u64,
    repeated: u64,
    framed: u64,
    left: u64,
}

/// The server refused some SUBs between two PONGs without naming them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnnamedRefusals {
    /// What it was asked for, in order.
    asked: Vec<u64>,
    /// How many of them it has refused.
    refused: usize,
    /// Nothing made room in the meantime.
    filled: bool,
    /// It may have known one of them already.
    known: bool,
}

/// Which SUBs were refused by a server that has reached its limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RefusedSubs {
    These(Vec<u64>),
    SomeOf(Vec<u64>),
}

impl UnnamedRefusals {
    /// A full server refuses every further SUB until a subscription ends, so it has refused the last ones.
    pub(super) fn resolve(mut self) -> RefusedSubs {
        let accepted = self.asked.len().saturating_sub(self.refused);
        if self.known || !(accepted == 0 || self.filled) {
            return RefusedSubs::SomeOf(self.asked);
        }
        RefusedSubs::These(self.asked.split_off(accepted))
    }
}

impl Asked {
    /// Records that SUB was sent for `sid`, if that is in the table.
    pub(super) fn note<H>(&mut self, sid: u64, table: &Subscriptions<H>) {
        if table.get(sid).is_some() {
            self.add(sid, table);
        }
    }

    /// Records that SUB was sent for `sid` a second time, perhaps after frames with later sids. `known`: the server may still
    /// know it.
    pub(super) fn note_again<H>(&mut self, sid: u64, known: bool, table: &Subscriptions<H>) {
        if let Some(interest) = table.interest(sid) {
            self.add_again(sid, known);
            if let Some(names) = &mut self.names {
                names.add(interest, sid);
            }
        }
    }

    /// Records that SUB was sent for `sid`.
    #[inline]
    pub(super) fn add<H>(&mut self, sid: u64, table: &Subscriptions<H>) {
        if self.is_ahead(sid) {
            self.fresh.push_back(sid);
        } else {
            self.add_and_index(sid, table);
        }
    }

    /// The same for several, ascending.
    pub(super) fn add_all<H>(&mut self, sids: Sids, table: &Subscriptions<H>) {
        if sids.clone().next().is_some_and(|first| self.is_ahead(first)) {
            self.fresh.extend(sids);
        } else {
            sids.for_each(|sid| self.add(sid, table));
        }
    }

    /// Whether `sid` only needs to be added to the others: the usual case.
    fn is_ahead(&self, sid: u64) -> bool {
        self.names.is_none() && self.fresh.back().is_none_or(|last| *last < sid)
    }

    fn add_and_index<H>(&mut self, sid: u64, table: &Subscriptions<H>) {
        if self.fresh.back().is_none_or(|last| *last < sid) {
            self.fresh.push_back(sid);
        } else if self.fresh.binary_search(&sid).is_err() {
            self.add_again(sid, false);
        }
        if let Some(names) = &mut self.names {
            table.interest(sid).into_iter().for_each(|interest| names.add(interest, sid));
        }
    }

    fn add_again(&mut self, sid: u64, known: bool) {
        self.repeated += 1;
        self.order.insert(self.repeated, (sid, known));
        self.again.insert(sid, self.repeated);
    }

    /// SUBs up to this sid were loaded as frames. Their commands may not have been applied yet.
    pub(super) fn loaded(&mut self, framed: u64) {
        self.framed = framed;
    }

    /// What a PING covers that is sent now.
    pub(super) fn up_to(&self) -> AskedUpTo {
        let fresh = self.passed + self.fresh.len() as u64;
        AskedUpTo { fresh, repeated: self.repeated, framed: self.framed, left: self.left }
    }

    /// Whether the last SUB of `sid` is not yet covered by a PONG.
    pub(super) fn awaits(&self, sid: u64) -> bool {
        self.again.contains_key(&sid) || self.fresh.binary_search(&sid).is_ok()
    }

    /// The server has refused a SUB without naming it.
    pub(super) fn refuse_unnamed(&mut self) {
        self.unnamed += 1;
    }

    /// It was `sid`. Its end makes no room at the server.
    pub(super) fn refuse_now(&mut self, sid: u64) {
        self.refused.insert(sid);
    }

    /// What becomes of `sid` is decided.
    pub(super) fn forget_refused(&mut self, sid: u64) {
        self.refused.remove(&sid);
    }

    /// UNSUB is sent for a subscription.
    pub(super) fn depart(&mut self) {
        self.left += 1;
    }

    /// A PONG covers SUBs up to `up_to`: they were accepted, or were refused before it. If some were refused without a name,
    /// returns the candidates.
    pub(super) fn accept<H>(&mut self, up_to: AskedUpTo, table: &Subscriptions<H>) -> Option<UnnamedRefusals> {
        let refused = usize::try_from(std::mem::take(&mut self.unnamed)).unwrap_or(usize::MAX);
        // A frame may have been sent ahead of its command, so what ended between the PING and its PONG counts too.
        let filled = self.left == std::mem::replace(&mut self.left_before, up_to.left);
        if refused == 0 && self.is_plain() {
            self.pass(up_to);
            return None;
        }
        let mut asked = Vec::new();
        while let Some(sid) = self.fresh.front().copied() {
            if self.passed >= up_to.fresh && sid > up_to.framed {
                break;
            }
            self.fresh.pop_front();
            self.passed += 1;
            if !self.again.contains_key(&sid) {
                self.forget_name(sid, table);
            }
            if !self.refused.remove(&sid) && refused > 0 {
                asked.push(sid);
            }
        }
        let fresh = asked.len();
        let mut known = false;
        while let Some(first) = self.order.first_entry().filter(|first| *first.key() <= up_to.repeated) {
            let (number, (sid, may_know)) = first.remove_entry();
            known |= may_know;
            if self.again.get(&sid) == Some(&number) {
                self.again.remove(&sid);
                self.forget_name(sid, table);
            }
            if !self.refused.remove(&sid) && refused > 0 {
                asked.push(sid);
            }
        }
        // Those sent out of order may have stood anywhere between the others.
        let mixed = fresh > 0 && asked.len() > fresh;
        if self.fresh.is_empty() && self.again.is_empty() {
            (self.gone, self.names) = (BTreeMap::new(), None);
            self.refused.clear();
            self.fresh.shrink_to(64);
        }
        (refused > 0).then_some(UnnamedRefusals { asked, refused, filled: filled && !mixed, known })
    }

    /// Whether nothing needs to be looked up when a PONG comes: the usual case, also for 100,000 SUBs.
    fn is_plain(&self) -> bool {
        let in_order = self.again.is_empty() && self.order.is_empty();
        in_order && self.gone.is_empty() && self.refused.is_empty() && self.names.is_none()
    }

    /// Forgets the sids that a PONG covers, when nothing else is known of them.
    fn pass(&mut self, up_to: AskedUpTo) {
        let sent = up_to.fresh.saturating_sub(self.passed);
        let framed = self.fresh.partition_point(|sid| *sid <= up_to.framed);
        let covered = usize::try_from(sent).unwrap_or(usize::MAX).max(framed).min(self.fresh.len());
        self.fresh.drain(..covered);
        self.passed += covered as u64;
        if self.fresh.is_empty() {
            self.fresh.shrink_to(64);
        }
    }

    fn forget_name<H>(&mut self, sid: u64, table: &Subscriptions<H>) {
        let gone = self.gone.remove(&sid);
        if let Some(names) = &mut self.names {
            let interest = gone.as_deref().or_else(|| table.interest(sid));
            if let Some(interest) = interest {
                names.remove(interest, sid);
            }
        }
    }

    /// `sid` leaves the table, where what it was for can still be looked up.
    pub(super) fn leave<H>(&mut self, sid: u64, table: &Subscriptions<H>) {
        if !self.refused.contains(&sid) {
            self.depart();
        }
        if !self.awaits(sid) {
            return;
        }
        if let Some(interest) = table.interest(sid) {
            self.gone.insert(sid, interest.into());
            if self.gone.len() > GONE {
                self.gone.pop_first();
            }
        }
    }

    /// The server refuses a subscription and may give its sid. Returns the sid that it means, which may have left the table;
    /// `None`: it is not one of these.
    pub(super) fn refuse<H>(
        &mut self,
        (subject, queue, sid): (&[u8], Option<&[u8]>, Option<u64>),
        table: &Subscriptions<H>,
    ) -> Option<u64> {
        if self.names.is_none() {
            let mut names = Names::default();
            for sid in self.fresh.iter().chain(self.again.keys()) {
                let gone = self.gone.get(sid).map(|interest| &**interest);
                if let Some(interest) = gone.or_else(|| table.interest(*sid)) {
                    names.add(interest, *sid);
                }
            }
            self.names = Some(names);
        }
        let names = self.names.as_mut()?;
        // Old servers don't name the queue group.
        let first = || names.exactly(subject, queue).next();
        let by_name = sid.is_none();
        let sid = sid.or_else(first).or_else(|| names.grouped(subject).next().filter(|_| queue.is_none()))?;
        // The next refusal with this name means another one.
        self.forget_name(sid, table);
        if by_name {
            self.refused.insert(sid);
        }
        Some(sid)
    }
}
