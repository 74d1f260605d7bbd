//! Acknowledgements, and what else a message is answered.

use super::super::consumer_config::Ack;
use super::super::time::Time;
use super::super::turn::Turn;
use super::Consumer;
use serde::Deserialize;

/// What the reply subject of a delivered message says after the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct AckTokens {
    pub(in super::super) seq: u64,
    pub(in super::super) number: u64,
}

impl AckTokens {
    /// Reads `<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`.
    pub(in super::super) fn read<'a>(mut tokens: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut number = || tokens.next()?.parse::<u64>().ok();
        let (_, seq, count) = (number()?, number()?, number()?);
        number().zip(number())?;
        tokens.next().is_none().then_some(Self { seq, number: count })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nak {
    delay: u64,
}

impl Consumer {
    /// An answer to a message. Returns the sequences that it is done with.
    pub(in super::super) fn answered(
        &mut self,
        ack: AckTokens,
        reply: Option<&str>,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Vec<u64> {
        self.active = turn.now;
        let (kind, rest) = kind(payload);
        let done = match kind {
            Kind::Ack | Kind::Term | Kind::Next => self.acknowledge(ack, kind, turn.now),
            Kind::Nak => {
                let delay = serde_json::from_slice::<Nak>(rest).unwrap_or_default().delay;
                self.refuse(ack, delay, turn.now);
                Vec::new()
            }
            Kind::Progress => {
                self.extend(ack.seq, turn.now);
                Vec::new()
            }
            Kind::Unknown => Vec::new(),
        };
        match (kind, reply) {
            (Kind::Next, Some(reply)) => self.pull(reply, rest, turn),
            (Kind::Unknown, _) | (_, None) => {}
            (_, Some(reply)) => turn.answer(reply, ""),
        }
        done
    }

    fn acknowledge(&mut self, ack: AckTokens, kind: Kind, now: Time) -> Vec<u64> {
        let done: Vec<u64> = match self.config.ack_policy {
            Ack::None => return Vec::new(),
            Ack::All if kind != Kind::Term => self.open.range(..=ack.seq).map(|(seq, _)| *seq).collect(),
            Ack::All | Ack::Explicit => self.open.contains_key(&ack.seq).then_some(ack.seq).into_iter().collect(),
        };
        for seq in &done {
            self.close(*seq);
        }
        if !done.is_empty() {
            self.floor.at = Some(now);
        }
        done
    }

    /// `-NAK`: again, now or later.
    fn refuse(&mut self, ack: AckTokens, delay: u64, now: Time) {
        let Some(open) = self.open.get_mut(&ack.seq) else { return };
        self.due.remove(&(open.due, ack.seq));
        if delay > 0 {
            open.due = now.saturating_add(delay);
            self.due.insert((open.due, ack.seq));
            self.again.retain(|seq| *seq != ack.seq);
        } else if !self.again.contains(&ack.seq) {
            self.again.push_back(ack.seq);
        }
    }

    /// `+WPI`: the time begins again.
    fn extend(&mut self, seq: u64, now: Time) {
        let times = self.repeats.get(&seq).copied().unwrap_or(1);
        let patience = self.config.patience(times);
        let Some(open) = self.open.get_mut(&seq) else { return };
        self.due.remove(&(open.due, seq));
        open.due = now.saturating_add(patience);
        self.due.insert((open.due, seq));
        self.again.retain(|other| *other != seq);
    }

    /// Nothing more is delivered of a message.
    pub(super) fn close(&mut self, seq: u64) {
        if let Some(open) = self.open.remove(&seq) {
            self.due.remove(&(open.due, seq));
        }
        self.repeats.remove(&seq);
        self.again.retain(|other| *other != seq);
        (self.floor.consumer, self.floor.stream) = match self.open.first_key_value() {
            None => (self.delivered.consumer, self.delivered.stream.max(self.floor.stream)),
            Some((first, open)) => (open.number.saturating_sub(1), first.saturating_sub(1)),
        };
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ack,
    Nak,
    Progress,
    Next,
    Term,
    Unknown,
}

/// What a payload says, and what follows.
fn kind(payload: &[u8]) -> (Kind, &[u8]) {
    let kinds: [(&[u8], Kind); 6] = [
        (b"+ACK", Kind::Ack),
        (b"+OK", Kind::Ack),
        (b"-NAK", Kind::Nak),
        (b"+WPI", Kind::Progress),
        (b"+NXT", Kind::Next),
        (b"+TERM", Kind::Term),
    ];
    if payload.is_empty() {
        return (Kind::Ack, payload);
    }
    let found = kinds.iter().find_map(|(text, kind)| Some((*kind, payload.strip_prefix(*text)?.trim_ascii())));
    found.unwrap_or((Kind::Unknown, payload))
}
