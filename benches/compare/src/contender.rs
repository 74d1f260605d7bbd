//! The contenders.

/// A client, or the raw socket that is the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Lifeline,
    AsyncNats,
    /// nats.go, if its program was built: see `--peers`.
    NatsGo,
    /// nats.c, likewise.
    NatsC,
    /// Raw sockets: the bound.
    Raw,
}

impl Contender {
    pub(crate) const ALL: [Self; 5] = [Self::Lifeline, Self::AsyncNats, Self::NatsGo, Self::NatsC, Self::Raw];

    /// As in `--who`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lifeline => "lifeline",
            Self::AsyncNats => "async-nats",
            Self::NatsGo => "nats.go",
            Self::NatsC => "nats.c",
            Self::Raw => "bound",
        }
    }

    /// As in the results.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Lifeline => "nats-lifeline",
            Self::Raw => "the bound",
            _ => self.name(),
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contender| contender.name() == name)
    }

    /// The program that does its work, if that is not this one.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Self::NatsGo => Some("compare-go"),
            Self::NatsC => Some("compare-c"),
            Self::Lifeline | Self::AsyncNats | Self::Raw => None,
        }
    }
}
