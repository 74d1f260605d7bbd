//! The body of a pull, written by hand into a buffer that is used again: it is sent with every batch.

use std::io::Write as _;
use std::time::Duration;

use super::consumer_pull::BatchConfig;
use super::name::{InvalidName, Name, NameKind};
use super::nanos;

/// A pull: what [`BatchConfig`] has, and the pin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PullRequest<'a> {
    /// How many messages at most; at least 1, and 0 is sent as 1.
    pub batch: u64,
    /// How many bytes at most, counted by the server with subject, reply and headers; 0 is no limit.
    pub max_bytes: u64,
    /// How long the pull waits; zero is for as long as the connection lasts.
    pub expires: Duration,
    /// After how long without messages the server sends a heartbeat, at most half of `expires`, so never without it; zero is none.
    pub idle_heartbeat: Duration,
    /// Ends when there are no messages, instead of waiting for the first one.
    pub no_wait: bool,
    /// The priority group, if the consumer has them.
    pub group: Option<&'a str>,
    /// The id of the pin, from `Nats-Pin-Id` of the last message.
    pub id: Option<&'a str>,
    /// Messages only while at least this many are pending (priority policy overflow).
    pub min_pending: Option<u64>,
    /// Messages only while at least this many acknowledgements are pending (priority policy overflow).
    pub min_ack_pending: Option<u64>,
    /// 0, the most important, to 9 (priority policy prioritized).
    pub priority: Option<u64>,
}

impl<'a> From<&'a BatchConfig> for PullRequest<'a> {
    fn from(config: &'a BatchConfig) -> Self {
        let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            batch: number(config.batch),
            max_bytes: number(config.max_bytes),
            expires: config.expires.unwrap_or_default(),
            idle_heartbeat: config.idle_heartbeat,
            no_wait: config.no_wait,
            group: config.group.as_deref(),
            id: None,
            min_pending: config.min_pending.map(number),
            min_ack_pending: config.min_ack_pending.map(number),
            priority: config.priority.map(number),
        }
    }
}

impl PullRequest<'_> {
    /// Appends the JSON to `out`. What has its default is left out, and texts are escaped.
    ///
    /// ```
    /// # #[cfg(feature = "internals")] {
    /// use nats_lifeline::jetstream::wire::PullRequest;
    /// use std::time::Duration;
    ///
    /// let pull = PullRequest { batch: 500, expires: Duration::from_secs(30), ..Default::default() };
    /// let mut body = Vec::new();
    /// pull.write(&mut body);
    /// assert_eq!(body, br#"{"batch":500,"expires":30000000000}"#);
    /// # }
    /// ```
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"batch\":");
        digits(out, self.batch.max(1));
        let nanos = |duration| u64::try_from(nanos::of(duration)).unwrap_or_default();
        let not_zero = |number: u64| Some(number).filter(|number| *number > 0);
        field(out, b",\"expires\":", not_zero(nanos(self.expires)));
        field(out, b",\"max_bytes\":", not_zero(self.max_bytes));
        field(out, b",\"idle_heartbeat\":", not_zero(nanos(self.idle_heartbeat)));
        if self.no_wait {
            out.extend_from_slice(b",\"no_wait\":true");
        }
        text(out, b",\"group\":", self.group);
        text(out, b",\"id\":", self.id);
        field(out, b",\"min_pending\":", self.min_pending);
        field(out, b",\"min_ack_pending\":", self.min_ack_pending);
        field(out, b",\"priority\":", self.priority);
        out.push(b'}');
    }
}

/// The shortest heartbeat. Servers demand it of push consumers; from pulls they take any, and would send one every microsecond.
pub const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(100);

/// What a pull asks for that no server gives, or that no client can want.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullFault {
    /// A batch of 0.
    #[error("a batch of 0 messages; at least 1 is needed")]
    EmptyBatch,
    /// Servers refuse a heartbeat of more than half of `expires`, and one without `expires`.
    #[error("{}", long_heartbeat(*heartbeat, *expires))]
    LongHeartbeat {
        /// The heartbeat.
        heartbeat: Duration,
        /// How long the pull waits.
        expires: Duration,
    },
    /// It would be mostly heartbeats.
    #[error("an idle heartbeat of {heartbeat:?}; at least {SHORTEST_HEARTBEAT:?} is needed, or none")]
    ShortHeartbeat {
        /// The heartbeat.
        heartbeat: Duration,
    },
    /// Priorities are 0 to 9.
    #[error("a priority of {priority}; 0 to 9 are allowed")]
    Priority {
        /// The priority.
        priority: u64,
    },
    /// The priority group is no valid name.
    #[error(transparent)]
    Group(#[from] InvalidName),
}

fn long_heartbeat(heartbeat: Duration, expires: Duration) -> String {
    if expires.is_zero() {
        let least = heartbeat.saturating_mul(2);
        return format!("an idle heartbeat of {heartbeat:?} needs a pull that waits: `expires` of at least {least:?}");
    }
    format!("an idle heartbeat of {heartbeat:?} is over half of the pull's {expires:?}")
}

impl PullRequest<'_> {
    /// Checks the rules that hold for every consumer.
    ///
    /// # Errors
    ///
    /// With the value and the first rule that it breaks.
    pub fn check(&self) -> Result<(), PullFault> {
        let PullRequest { expires, idle_heartbeat: heartbeat, .. } = *self;
        if self.batch == 0 {
            return Err(PullFault::EmptyBatch);
        }
        if heartbeat > expires / 2 {
            return Err(PullFault::LongHeartbeat { heartbeat, expires });
        }
        if !heartbeat.is_zero() && heartbeat < SHORTEST_HEARTBEAT {
            return Err(PullFault::ShortHeartbeat { heartbeat });
        }
        if let Some(priority) = self.priority.filter(|priority| *priority > 9) {
            return Err(PullFault::Priority { priority });
        }
        match self.group {
            Some(group) => Ok(Name::new(NameKind::PriorityGroup, group).map(drop)?),
            None => Ok(()),
        }
    }
}

fn field(out: &mut Vec<u8>, name: &[u8], number: Option<u64>) {
    if let Some(number) = number {
        out.extend_from_slice(name);
        digits(out, number);
    }
}

fn digits(out: &mut Vec<u8>, number: u64) {
    // Writing to memory doesn't fail.
    let _ = write!(out, "{number}");
}

fn text(out: &mut Vec<u8>, name: &[u8], text: Option<&str>) {
    let Some(text) = text else { return };
    out.extend_from_slice(name);
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn written(pull: &PullRequest<'_>) -> Value {
        let mut body = b"before".to_vec();
        pull.write(&mut body);
        serde_json::from_slice(body.strip_prefix(b"before").unwrap()).unwrap()
    }

    #[test]
    fn the_body_is_json_with_everything_that_differs_from_a_default() {
        assert_eq!(written(&PullRequest::default()), json!({ "batch": 1 }));
        let pull = PullRequest {
            batch: 10,
            max_bytes: u64::MAX,
            expires: Duration::MAX,
            idle_heartbeat: Duration::from_nanos(105),
            no_wait: true,
            group: Some("a\"b\\c\n"),
            id: Some("größe"),
            min_pending: Some(0),
            min_ack_pending: Some(1_000),
            priority: Some(9),
        };
        let expected = json!({
            "batch": 10, "max_bytes": u64::MAX, "expires": i64::MAX, "idle_heartbeat": 105, "no_wait": true,
            "group": "a\"b\\c\n", "id": "größe", "min_pending": 0, "min_ack_pending": 1000, "priority": 9,
        });
        assert_eq!(written(&pull), expected);
    }

    #[test]
    fn a_pull_that_a_server_refuses_or_drops_is_refused_before() {
        let second = Duration::from_secs(1);
        let good = PullRequest { batch: 1, expires: second, ..PullRequest::default() };
        assert_eq!(good.check(), Ok(()));
        assert_eq!(PullRequest { idle_heartbeat: second / 2, ..good }.check(), Ok(()));
        assert_eq!(PullRequest { batch: 0, ..good }.check(), Err(PullFault::EmptyBatch));
        let heartbeat = second / 2 + Duration::from_nanos(1);
        let error = PullRequest { idle_heartbeat: heartbeat, ..good }.check().unwrap_err();
        assert_eq!(error, PullFault::LongHeartbeat { heartbeat, expires: second });
        assert_eq!(error.to_string(), "an idle heartbeat of 500.000001ms is over half of the pull's 1s");
        let endless = PullRequest { expires: Duration::ZERO, ..good };
        assert_eq!(endless.check(), Ok(()));
        let error = PullRequest { idle_heartbeat: second, ..endless }.check().unwrap_err();
        assert_eq!(error, PullFault::LongHeartbeat { heartbeat: second, expires: Duration::ZERO });
        let text = "an idle heartbeat of 1s needs a pull that waits: `expires` of at least 2s";
        assert_eq!(error.to_string(), text);
        let heartbeat = SHORTEST_HEARTBEAT - Duration::from_nanos(1);
        let error = PullRequest { idle_heartbeat: heartbeat, ..good }.check().unwrap_err();
        assert_eq!(error, PullFault::ShortHeartbeat { heartbeat });
        assert_eq!(error.to_string(), "an idle heartbeat of 99.999999ms; at least 100ms is needed, or none");
        assert_eq!(PullRequest { idle_heartbeat: SHORTEST_HEARTBEAT, ..good }.check(), Ok(()));
        assert_eq!(PullRequest { priority: Some(10), ..good }.check(), Err(PullFault::Priority { priority: 10 }));
        let error = PullRequest { group: Some("a b"), ..good }.check().unwrap_err();
        assert_eq!(error.to_string(), r#"invalid priority group "a b": ' ' at byte 1 is not allowed"#);
    }

    #[test]
    fn a_batch_config_is_a_pull_without_a_pin() {
        let config = BatchConfig { batch: 7, group: Some("g".to_owned()), ..BatchConfig::default() };
        let pull = PullRequest::from(&config);
        assert_eq!(pull, PullRequest { batch: 7, group: Some("g"), ..PullRequest::default() });
    }
}
