//! What is known against the message with which connections end.

/// What is known against the first message in line.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// The sequence number of the message with which the last connection ended: its first one without a PONG, or the cut one.
    first: u64,
    /// How many connections in a row have ended with it.
    losses: u32,
    /// At least once, while somebody is sought.
    batches: Option<Batches>,
}

/// Messages are given to a connection in portions.
#[derive(Clone, Copy, Debug)]
struct Batches {
    /// How many at a time. Never 0.
    size: u64,
    /// After the message with this number all is as usual.
    through: u64,
}

/// What follows from a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Open,
    /// The first message in line is taken out.
    Guilty,
}

impl Suspicion {
    /// A connection has ended with `count` messages that it had begun to take and not confirmed, of which `first` is the
    /// first. `limit`: how many times in a row a message may be that.
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
    /// How many messages a batch has at most, and the number of the last message that is given in batches; `None`: all are given
    /// as they come.
    pub(super) fn batches(&self) -> Option<(u64, u64)> {
        self.batches.map(|batches| (batches.size, batches.through))
    }

    /// No batches any more.
    pub(super) fn clear(&mut self) {
        self.batches = None;
    }
}
