//! What each status means for the stream.

use std::time::{Duration, Instant};

use super::{ANY_BYTES, Cause, End, Phase, Pull, TOO_SOON};
use crate::jetstream::decide::ledger::{Entry, Left};
use crate::jetstream::wire::PullStatus;

impl Pull {
    pub(super) fn status(
        &mut self,
        now: Instant,
        token: u64,
        status: PullStatus,
        text: &str,
        left: Option<(u64, u64)>,
    ) {
        let left = match left {
            Some((messages, bytes)) => Left::Exactly { messages, bytes },
            None => Left::Unknown,
        };
        self.arrived = now;
        self.ledger.received(now, token);
        match status {
            PullStatus::IdleHeartbeat => self.heartbeat(now, token),
            PullStatus::FlowControl => {}
            PullStatus::BatchCompleted => {
                let entry = self.ledger.complete(now, token, left);
                self.completed(now, entry.filter(|entry| left.is_at_least(entry.messages)));
            }
            PullStatus::RequestTimeout | PullStatus::InterestExpired => {
                let entry = self.ledger.close(now, token, left);
                self.completed(now, entry);
                self.flow.rests();
            }
            PullStatus::MessageTooLarge => {
                let entry = self.ledger.close(now, token, left);
                self.too_large(now, entry, left);
            }
            PullStatus::NoMessages | PullStatus::RequestsPending => self.lost(now, token, Left::Everything, None),
            PullStatus::LeadershipChange => self.leader_left(now, token, left, Cause::LeadershipChange),
            PullStatus::ServerShutdown => self.leader_left(now, token, left, Cause::ServerShutdown),
            PullStatus::OverMaxWaiting => self.lost(now, token, Left::Everything, Some(Cause::TooManyPulls)),
            PullStatus::NoResponders => self.lost(now, token, Left::Everything, Some(Cause::NoResponders)),
            PullStatus::Unknown => self.lost(now, token, left, Some(Cause::Other)),
            PullStatus::WrongPin => {
                self.pin = None;
                self.lost(now, token, left, Some(Cause::Unpinned));
            }
            PullStatus::OverMaxBatch | PullStatus::OverMaxExpires | PullStatus::OverMaxBytes => {
                let entry = self.ledger.close(now, token, Left::Everything);
                match self.lower(status, text, entry) {
                    true => self.shaken(now, Some(Cause::Lowered)),
                    false => self.end(End::OverLimit(text.to_owned())),
                }
            }
            PullStatus::ConsumerDeleted => self.end(End::Gone),
            PullStatus::PushBased => self.end(End::PushBased),
            PullStatus::BadRequest | PullStatus::RequiredApiLevel => self.end(End::Refused(text.to_owned())),
        }
    }

    fn heartbeat(&mut self, now: Instant, token: u64) {
        if self.ledger.is_alive(token) {
            self.heard(now);
            self.flow.rests();
        }
    }

    /// A pull was not served to its end.
    fn lost(&mut self, now: Instant, token: u64, left: Left, cause: Option<Cause>) {
        self.ledger.close(now, token, left);
        self.shaken(now, cause);
    }

    /// The leader that had this pull is no more. Older ones get the same status, which is no news and may come late; what has become
    /// of one that it may not have received nobody knows.
    fn leader_left(&mut self, now: Instant, token: u64, left: Left, cause: Cause) {
        let is_news = self.ledger.is_undoubted(token);
        self.ledger.close(now, token, left);
        if is_news {
            self.ledger.doubt_each();
        }
        if is_news || matches!(self.phase, Phase::Shaken(_)) {
            self.shaken(now, Some(cause));
        }
    }

    /// A pull has ended as it should, unless that was too soon.
    fn completed(&mut self, now: Instant, entry: Option<Entry>) {
        // A reader that has much to read may not know yet that there is a connection again.
        let began = |entry: Entry| entry.sent.unwrap_or(entry.made);
        let soon = |began| now.saturating_duration_since(began) < TOO_SOON && self.heard <= began;
        match entry {
            Some(entry) if soon(began(entry)) => self.shaken(now, Some(Cause::Other)),
            _ => self.heard(now),
        }
    }

    /// The next message is larger than what this pull had left. If it has had nothing else, only a larger one helps.
    fn too_large(&mut self, now: Instant, entry: Option<Entry>, left: Left) {
        let Left::Exactly { messages, bytes } = left else { return self.heard(now) };
        let most = self.most_bytes();
        match entry {
            Some(entry) if entry.messages != messages => self.heard(now),
            _ if bytes >= most => self.shaken(now, Some(Cause::MessageTooLarge)),
            Some(_) => {
                self.least_bytes = most;
                self.shaken(now, None);
                if let Phase::Shaken(shaken) = &mut self.phase {
                    shaken.next = now;
                }
            }
            // It counted as served, and another one that is no larger would end in the same way.
            None => {
                self.heard(now);
                self.least_bytes = most;
            }
        }
    }

    /// Asks for as little as the server's text says. `false`: the pull asked for no more than that. Others may still be refused that
    /// were sent before the first one was.
    fn lower(&mut self, status: PullStatus, text: &str, entry: Option<Entry>) -> bool {
        let Some(limit) = text.split_once(" of ").map(|(_, limit)| limit.trim()) else { return false };
        let number = limit.parse::<u64>().ok().filter(|limit| *limit > 0);
        let most_bytes = self.most_bytes();
        let settings = &mut self.settings;
        let asked = |asked: fn(Entry) -> u64| entry.map_or(u64::MAX, asked);
        match (status, number) {
            (PullStatus::OverMaxBatch, Some(limit)) => {
                settings.batch = settings.batch.min(limit);
                asked(|entry| entry.messages) > limit
            }
            (PullStatus::OverMaxBytes, Some(limit)) => {
                settings.max_bytes = most_bytes.min(limit);
                asked(|entry| if entry.bytes == 0 { ANY_BYTES } else { entry.bytes }) > limit
            }
            (PullStatus::OverMaxExpires, _) => {
                let Some(limit) = go_duration(limit).filter(|limit| *limit >= Duration::from_millis(1)) else {
                    return false;
                };
                settings.shorten(limit);
                entry.is_none_or(|entry| entry.expires.is_none_or(|expires| expires > limit))
            }
            _ => false,
        }
    }
}

/// A duration as Go writes it: `1m30s`, `1.5s`, `250ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, unit) = rest.split_at_checked(digits)?;
        let letters = unit.bytes().take_while(|byte| !byte.is_ascii_digit() && *byte != b'.').count();
        let (unit, after) = unit.split_at_checked(letters)?;
        let seconds = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" | "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        sum = sum.checked_add(part)?;
        rest = after;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go_are_read() {
        let of = |text| go_duration(text).map(|duration| duration.as_millis());
        assert_eq!(
            ["20s", "1m30s", "1.5s", "250ms", "1h0m0s"].map(of),
            [20_000, 90_000, 1_500, 250, 3_600_000].map(Some)
        );
        assert_eq!(["s", "20", "2x", "1.2.3s", "99999999999999999999999h", "-1s"].map(of), [None; 6]);
    }
}
