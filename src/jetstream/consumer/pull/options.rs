//! What pulls ask for: the options of all builders, checked against what servers and the consumer accept.

use std::time::Duration;

use super::Config;
use crate::jetstream::consumer::Consumer;
use crate::jetstream::context::{Context, RequestError};
use crate::jetstream::decide::settings::{SHORTEST_EXPIRES, Settings, SettingsFault, heartbeat_within};
use crate::jetstream::message::Message;
use crate::jetstream::run::pull_inlet::Source;
use crate::jetstream::wire::{AckPolicy, Call, InvalidName, Name, PriorityPolicy, PullFault, SHORTEST_HEARTBEAT};

/// The heartbeat of streams, and of batches that wait for at least twice as long.
const HEARTBEAT: Duration = Duration::from_secs(1);
const EXPIRES: Duration = Duration::from_secs(30);
const MESSAGES: usize = 200;

/// How long a stream without a heartbeat of its own is silent before that is reported.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why pulls can't be made: what they ask for is given to nobody. It is the source of the errors of the builders.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct PullRefused {
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Settings(SettingsFault),
    #[error(transparent)]
    Group(GroupFault),
    #[error(transparent)]
    Name(InvalidName),
    #[error("{0}")]
    Context(String),
}

/// What is wrong with the priority group of a pull.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupFault {
    /// The consumer has priority groups, and the pull names none.
    #[error("no priority group: the consumer has {allowed:?}, and each pull has to name one")]
    Missing {
        /// Those that the consumer has.
        allowed: Vec<String>,
    },
    /// The consumer has no such group.
    #[error("the priority group {group:?}: the consumer has {}", groups(allowed))]
    Unknown {
        /// What the pull names.
        group: String,
        /// Those that the consumer has.
        allowed: Vec<String>,
    },
}

fn groups(allowed: &[String]) -> String {
    if allowed.is_empty() { "no priority groups".to_owned() } else { format!("{allowed:?}") }
}

impl From<PullFault> for PullRefused {
    fn from(fault: PullFault) -> Self {
        SettingsFault::Pull(fault).into()
    }
}

impl From<SettingsFault> for PullRefused {
    fn from(fault: SettingsFault) -> Self {
        PullRefused { why: Why::Settings(fault) }
    }
}

impl From<InvalidName> for PullRefused {
    fn from(invalid: InvalidName) -> Self {
        PullRefused { why: Why::Name(invalid) }
    }
}

impl From<RequestError> for PullRefused {
    fn from(error: RequestError) -> Self {
        PullRefused { why: Why::Context(error.to_string()) }
    }
}

/// The options that were set.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) messages: Option<usize>,
    pub(super) bytes: usize,
    pub(super) heartbeat: Option<Duration>,
    pub(super) expires: Option<Duration>,
    pub(super) min_pending: Option<usize>,
    pub(super) min_ack_pending: Option<usize>,
    pub(super) priority: Option<usize>,
    pub(super) group: Option<String>,
}

impl Options {
    /// For a stream.
    pub(super) fn stream(self, config: &Config) -> Result<Settings, PullRefused> {
        let patience = match self.heartbeat {
            Some(heartbeat) if !heartbeat.is_zero() => heartbeat.saturating_mul(2),
            _ => PATIENCE,
        };
        if let Some(expires) = self.expires.filter(|expires| *expires < SHORTEST_EXPIRES) {
            return Err(SettingsFault::ShortExpires(expires).into());
        }
        let settings = Settings { patience, ..self.waiting(config, EXPIRES) };
        self.checked(settings, config)
    }

    /// For a batch that waits as long as was said, or else for `expires`.
    pub(super) fn batch(self, config: &Config, expires: Duration) -> Result<Settings, PullRefused> {
        let mut settings = self.waiting(config, expires);
        if self.heartbeat.is_none() && settings.expires < HEARTBEAT * 2 {
            settings.heartbeat = Duration::ZERO;
        }
        self.checked(settings, config)
    }

    /// For a batch that waits only if a time was said.
    pub(super) fn fetch(self, config: &Config) -> Result<Settings, PullRefused> {
        match self.expires.filter(|expires| !expires.is_zero()) {
            Some(expires) => {
                let settings = self.clone().batch(config, expires)?;
                Ok(Settings { no_wait: true, ..settings })
            }
            None => {
                let heartbeat = self.heartbeat.unwrap_or_default();
                let settings = Settings {
                    no_wait: true,
                    expires: Duration::ZERO,
                    heartbeat,
                    ..self.waiting(config, Duration::ZERO)
                };
                self.checked(settings, config)
            }
        }
    }

    /// Within the limits of the consumer. A heartbeat that was not asked for never is too long.
    fn waiting(&self, config: &Config, default_expires: Duration) -> Settings {
        let expires = self.expires.unwrap_or(default_expires);
        let expires = if config.max_expires.is_zero() { expires } else { expires.min(config.max_expires) };
        let heartbeat = match self.heartbeat {
            Some(heartbeat) if self.expires.is_some() || heartbeat < SHORTEST_HEARTBEAT => heartbeat,
            heartbeat => heartbeat_within(expires, heartbeat.unwrap_or(HEARTBEAT)),
        };
        // Servers read signed numbers.
        let number = |number: usize| u64::try_from(i64::try_from(number).unwrap_or(i64::MAX)).unwrap_or_default();
        let limit = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(u64::MAX);
        let bytes = match (number(self.bytes), limit(config.max_bytes)) {
            (0, u64::MAX) => 0,
            (0, limit) => limit,
            (bytes, limit) => bytes.min(limit),
        };
        Settings {
            batch: number(self.messages.unwrap_or(MESSAGES)).min(limit(config.max_batch)),
            max_bytes: bytes,
            expires,
            heartbeat,
            no_wait: false,
            group: self.group.clone(),
            min_pending: self.min_pending.map(number),
            min_ack_pending: self.min_ack_pending.map(number),
            priority: self.priority.map(number),
            patience: PATIENCE,
        }
    }

    fn checked(&self, settings: Settings, config: &Config) -> Result<Settings, PullRefused> {
        settings.check()?;
        let (groups, group) = (&config.priority_groups, &self.group);
        let fault = match group {
            None if groups.is_empty() => return Ok(settings),
            None => GroupFault::Missing { allowed: groups.clone() },
            Some(group) if groups.contains(group) => return Ok(settings),
            Some(group) => GroupFault::Unknown { group: group.clone(), allowed: groups.clone() },
        };
        Err(PullRefused { why: Why::Group(fault) })
    }
}

/// Makes a message of a consumer of one that has arrived.
#[derive(Debug)]
pub(super) struct Deliverer {
    context: Context,
    /// Whether messages are to be acknowledged.
    acknowledged: bool,
}

impl Deliverer {
    pub(super) fn deliver(&self, message: crate::Message) -> Message {
        Message::new(message, &self.context, self.acknowledged)
    }
}

impl Consumer<Config> {
    /// Where pulls go.
    pub(super) fn source(&self) -> Result<Source, PullRefused> {
        let names = (Name::stream(&self.info.stream_name)?, Name::consumer(&self.info.name)?);
        let call = Call::ConsumerNext { stream: names.0, consumer: names.1 };
        let next = self.context.prefix()?.subject(call).into();
        Ok(Source { client: self.context.client(), next, pinned: self.is_pinned() })
    }

    pub(super) fn deliverer(&self) -> Deliverer {
        Deliverer { context: self.context.clone(), acknowledged: self.config.ack_policy != AckPolicy::None }
    }

    /// Whether one client at a time gets the messages.
    pub(super) fn is_pinned(&self) -> bool {
        self.config.priority_policy == PriorityPolicy::PinnedClient
    }
}

/// Declares the setters that all builders have.
macro_rules! setters {
    ($builder:ident, $messages:ident, $bytes:ident, $heartbeat:literal, $expires:literal) => {
        impl<'a> $builder<'a> {
            /// Sets the most bytes that are requested at a time: subjects, reply subjects, headers and payloads. A
            /// message that is larger than that never comes. Default: what the consumer allows.
            pub fn $bytes(mut self, max_bytes: usize) -> Self {
                self.options.bytes = max_bytes;
                self
            }

            /// Sets the most messages that are requested at a time; at least 1, and lowered to what the consumer allows.
            /// Default: 200.
            pub fn $messages(mut self, batch: usize) -> Self {
                self.options.messages = Some(batch);
                self
            }

            #[doc = $heartbeat]
            pub fn heartbeat(mut self, heartbeat: std::time::Duration) -> Self {
                self.options.heartbeat = Some(heartbeat);
                self
            }

            #[doc = $expires]
            pub fn expires(mut self, expires: std::time::Duration) -> Self {
                self.options.expires = Some(expires);
                self
            }

            /// Gets messages only while at least this many are pending, if the consumer's priority policy is
            /// [`Overflow`](crate::jetstream::consumer::PriorityPolicy::Overflow). Default: no condition.
            pub fn min_pending(mut self, min_pending: usize) -> Self {
                self.options.min_pending = Some(min_pending);
                self
            }

            /// Gets messages only while at least this many acknowledgements are pending, if the consumer's priority policy is
            /// [`Overflow`](crate::jetstream::consumer::PriorityPolicy::Overflow). Default: no condition.
            pub fn min_ack_pending(mut self, min_ack_pending: usize) -> Self {
                self.options.min_ack_pending = Some(min_ack_pending);
                self
            }

            /// Sets the priority group, which a consumer that has them requires.
            pub fn group<T: Into<String>>(mut self, group: T) -> Self {
                self.options.group = Some(group.into());
                self
            }
        }
    };
}
pub(super) use setters;
