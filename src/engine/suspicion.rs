//! The evidence against the message with which connections end.

/// The evidence against the first waiting message.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// The sequence number of the message with which the last connection ended: its first unconfirmed one, or the one that was
    /// cut.
    first: u64,
    /// How many connections in a row have ended with it.
    losses: u32,
    /// At least once: the batches in which the poison is searched for.
    batches: Option<Batches>,
}

/// Messages are given to a connection in batches.
#[derive(Clone, Copy, Debug)]
struct Batches {
    /// How many at a time. Never 0.
    size: u64,
    /// After the message with this number there are no batches.
    through: u64,
}

/// What follows from a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Open,
    /// The first waiting message is removed.
    Guilty,
}

impl Suspicion {
    /// A connection ended with `count` messages that it had begun to take and not confirmed; `first` is the number of the
    /// first. `limit`: how many times in a row that may be the same message.
    pub(super) fn lost_with(&mut self, first: u64, count: u64, limit: u32) -> Verdict {
        self.losses = if self.first == first { self.losses + 1 } else { 1 };
        self.first = first;
        let sought = self.losses >= limit;
        match count {
            1 if sought => {
                self.losses = 0;
                return Verdict::Guilty;
            }
            _ if sought || self.batches.is_some() => {
                let through = self.batches.map_or(0, |batches| batches.through).max(first + count - 1);
                self.batches = Some(Batches { size: count.div_ceil(2), through });
            }
            _ => {}
        }
        Verdict::Open
    }
    /// The size of a batch and the number of the last message that is given in batches; `None`: messages are given as they
    /// come.
    pub(super) fn batches(&self) -> Option<(u64, u64)> {
        self.batches.map(|batches| (batches.size, batches.through))
    }

    /// Ends the batches.
    pub(super) fn clear(&mut self) {
        self.batches = None;
    }
}
