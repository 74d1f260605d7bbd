//! The final summary: what became of every request and of every message.

use std::fmt;
use std::process::ExitCode;

use nats_lifeline::client::{DrainReport, RouterReport};
use nats_lifeline::connection::Stats;

pub(crate) struct Account {
    pub(crate) requests: RouterReport,
    /// `None` if the client had ended before.
    pub(crate) drained: Option<DrainReport>,
    pub(crate) messages: Stats,
    /// Why the service has ended although nobody has asked for it.
    pub(crate) ended_early: Option<String>,
}

impl Account {
    /// Whether every request was handled, and draining left no message in doubt or lost.
    fn complete(&self) -> bool {
        let RouterReport { undelivered, unfinished, unread, dropped, .. } = self.requests;
        let Some(DrainReport { in_doubt, lost, .. }) = &self.drained else { return false };
        undelivered + unfinished + unread + dropped + in_doubt + lost.total() == 0
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.complete() && self.ended_early.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RouterReport { handled, failed, undelivered, unfinished, unread, dropped, .. } = self.requests;
        let lines = [
            ("requests received", handled + failed + unfinished + unread + dropped),
            ("requests accepted", handled),
            ("requests failed", failed),
            ("failed without a dead letter", undelivered),
            ("requests unfinished", unfinished),
            ("requests unread", unread),
            ("requests dropped: too slow", dropped),
            ("messages published", self.messages.accepted),
            ("messages confirmed", self.messages.confirmed),
            ("messages in doubt", self.messages.in_doubt),
            ("messages lost", self.messages.lost.total()),
            ("reconnections", self.messages.reconnects),
        ];
        writeln!(f, "summary")?;
        lines.iter().try_for_each(|(what, count)| writeln!(f, "  {what:<28} {count:>9}"))?;
        if let Some(why) = &self.ended_early {
            writeln!(f, "ended early: {why}")?;
        }
        f.write_str(match (self.complete(), self.messages.in_doubt + self.messages.lost.total()) {
            (true, 0) => "complete: every request was handled, and every message was confirmed",
            (true, _) => {
                "complete: every request was handled, and draining left no message in doubt or lost; those above are from \
                 earlier outages"
            }
            (false, _) if self.requests.dropped > 0 => "INCOMPLETE: requests were dropped, since handlers were too slow",
            (false, _) => "INCOMPLETE: not every request was handled, or draining left messages in doubt or lost",
        })
    }
}
