//! What the pulls of one reader ask for.

use std::time::Duration;

use crate::jetstream::wire::{PullFault, PullRequest, SHORTEST_HEARTBEAT};

/// What each pull of a reader asks for, and when trouble is reported to the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The most messages that are requested at a time; at least 1.
    pub batch: u64,
    /// The most bytes that are requested at a time; 0 is no limit.
    pub max_bytes: u64,
    /// How long a pull waits at the server.
    pub expires: Duration,
    /// After how long without messages the server shows that a pull is alive; zero is never.
    pub heartbeat: Duration,
    /// The pull ends when there are no messages, instead of waiting for the first one.
    pub no_wait: bool,
    /// The priority group.
    pub group: Option<String>,
    /// Messages only while at least this many are pending.
    pub min_pending: Option<u64>,
    /// Messages only while at least this many acknowledgements are pending.
    pub min_ack_pending: Option<u64>,
    /// 0, the most important, to 9.
    pub priority: Option<u64>,
    /// After how long without anything that is reported to the reader.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            batch: 200,
            max_bytes: 0,
            expires: Duration::from_secs(30),
            heartbeat: Duration::from_secs(1),
            no_wait: false,
            group: None,
            min_pending: None,
            min_ack_pending: None,
            priority: None,
            patience: Duration::from_secs(30),
        }
    }
}

/// What no reader can ask for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsFault {
    /// No server accepts such a pull.
    #[error(transparent)]
    Pull(#[from] PullFault),
    /// A pull that never expires can vanish without anybody noticing.
    #[error("pulls that wait for {0:?}; at least 1 ms is needed")]
    Expires(Duration),
    /// A stream repeats its pulls as often as that.
    #[error("a stream of pulls that wait for {0:?}; at least {SHORTEST_EXPIRES:?} is needed")]
    ShortExpires(Duration),
}

/// What the pulls of a stream may be asked to wait for at least, unless the consumer allows less.
pub const SHORTEST_EXPIRES: Duration = Duration::from_millis(100);

impl Settings {
    /// Checks the rules that hold for every consumer.
    ///
    /// # Errors
    ///
    /// With the value and the first rule that it breaks.
    pub fn check(&self) -> Result<(), SettingsFault> {
        if !self.no_wait && self.expires < Duration::from_millis(1) {
            return Err(SettingsFault::Expires(self.expires));
        }
        Ok(self.request(None).check()?)
    }

    /// A pull for everything.
    pub(super) fn request<'a>(&'a self, pin: Option<&'a str>) -> PullRequest<'a> {
        PullRequest {
            batch: self.batch,
            max_bytes: self.max_bytes,
            expires: self.expires,
            idle_heartbeat: self.heartbeat,
            no_wait: self.no_wait,
            group: self.group.as_deref(),
            id: pin,
            min_pending: self.min_pending,
            min_ack_pending: self.min_ack_pending,
            priority: self.priority,
        }
    }

    /// Lowers how long a pull waits, and its heartbeat with it.
    pub fn shorten(&mut self, expires: Duration) {
        self.expires = self.expires.min(expires);
        self.heartbeat = heartbeat_within(self.expires, self.heartbeat);
    }
}

/// At most half of what a pull waits for; none if that would be too short.
pub fn heartbeat_within(expires: Duration, heartbeat: Duration) -> Duration {
    let heartbeat = heartbeat.min(expires / 2);
    if heartbeat < SHORTEST_HEARTBEAT { Duration::ZERO } else { heartbeat }
}

/// The longest way to a server, there and back.
const LONGEST_WAY: Duration = Duration::from_millis(750);

/// How long a pull may show no sign of life after it was sent: two heartbeats, or one and the longest way.
pub(super) fn first_sign(heartbeat: Duration) -> Duration {
    heartbeat.saturating_add(heartbeat.max(LONGEST_WAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_that_gets_too_short_is_none() {
        let mut settings = Settings::default();
        settings.shorten(Duration::from_millis(200));
        assert_eq!(settings.heartbeat, SHORTEST_HEARTBEAT);
        settings.shorten(Duration::from_millis(199));
        assert_eq!(settings.heartbeat, Duration::ZERO);
    }

    #[test]
    fn what_no_server_accepts_is_a_fault_with_its_value() {
        let good = Settings::default();
        assert_eq!(good.check(), Ok(()));
        let fault = Settings { expires: Duration::ZERO, ..good.clone() }.check().unwrap_err();
        assert_eq!(fault.to_string(), "pulls that wait for 0ns; at least 1 ms is needed");
        let fault = Settings { batch: 0, ..good.clone() }.check().unwrap_err();
        assert_eq!(fault, SettingsFault::Pull(PullFault::EmptyBatch));
        let fault = Settings { expires: Duration::from_secs(1), ..good.clone() }.check().unwrap_err();
        assert_eq!(fault.to_string(), "an idle heartbeat of 1s is over half of the pull's 1s");
        let once = Settings { expires: Duration::ZERO, heartbeat: Duration::ZERO, no_wait: true, ..good };
        assert_eq!(once.check(), Ok(()));
    }
}
