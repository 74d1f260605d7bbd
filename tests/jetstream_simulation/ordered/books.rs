//! What was stored, what was delivered, and what must hold between them (J3).

use std::collections::{BTreeMap, BTreeSet};

use nats_lifeline::jetstream::consumer::DeliverPolicy;
use nats_lifeline::jetstream::decide::ordered::{Cause, Report};
use nats_lifeline::testing::jetstream::JetStream;

use super::reader::Item;
use super::requests::{Settings, text};

/// The books of one stream; another one that replaces it has its own.
pub(super) struct Books {
    settings: Settings,
    stored: BTreeMap<u64, (String, String)>,
    /// Sequences from here on must be delivered, if they match and the stream has them.
    start: u64,
    /// What a start at the last message of each subject must begin with.
    initial: BTreeSet<u64>,
    /// The sequence that comes next, as a message or in a gap.
    cursor: u64,
    delivered: BTreeSet<u64>,
    is_down: bool,
    /// Until the user learns that the stream was replaced, these are the ones of the old stream.
    former: Option<Box<Books>>,
    pub(super) messages: u64,
    pub(super) gaps: u64,
    pub(super) outages: u64,
    pub(super) resets: u64,
}

pub(super) fn matches(filter: &str, subject: &str) -> bool {
    filter.is_empty() || filter == ">" || filter == "s.*" || filter == subject
}

impl Books {
    pub(super) fn new(settings: Settings) -> Books {
        Books {
            settings,
            stored: BTreeMap::new(),
            start: 0,
            initial: BTreeSet::new(),
            cursor: 0,
            delivered: BTreeSet::new(),
            is_down: false,
            former: None,
            messages: 0,
            gaps: 0,
            outages: 0,
            resets: 0,
        }
    }

    /// A message was stored.
    pub(super) fn store(&mut self, sequence: u64, subject: &str, payload: &[u8]) {
        self.stored.insert(sequence, (subject.to_owned(), text(payload)));
    }

    /// The consumer is created now: where it must begin.
    pub(super) fn begin(&mut self, server: &JetStream) {
        let matching = |(sequence, subject, _, _): (u64, &str, &[u8], &[u8])| {
            matches(&self.settings.filter, subject).then(|| (sequence, subject.to_owned()))
        };
        let in_stream: Vec<_> = server.messages("S").filter_map(matching).collect();
        let first = server.messages("S").next().map(|(sequence, ..)| sequence);
        let next = self.stored.last_key_value().map_or(1, |(last, _)| last + 1);
        self.start = match self.settings.policy {
            DeliverPolicy::All => first.unwrap_or(next),
            DeliverPolicy::New => next,
            DeliverPolicy::Last => in_stream.last().map_or(next, |(sequence, _)| *sequence),
            DeliverPolicy::ByStartSequence { start_sequence } => start_sequence,
            DeliverPolicy::LastPerSubject => next,
            DeliverPolicy::ByStartTime { .. } => panic!("not drawn"),
        };
        if self.settings.policy == DeliverPolicy::LastPerSubject {
            let last: BTreeMap<_, _> = in_stream.into_iter().map(|(sequence, subject)| (subject, sequence)).collect();
            self.initial = last.into_values().collect();
        }
        self.cursor = self.start;
    }

    /// It may have been created again: from the last messages of the subjects, if nothing has been delivered.
    pub(super) fn begin_again(&mut self, server: &JetStream) {
        if self.settings.policy == DeliverPolicy::LastPerSubject && self.delivered.is_empty() {
            self.begin(server);
            // A message that was stored since the server answered may be the last one of its subject.
            self.initial.clear();
        }
    }

    /// The stream was deleted and created again: everything in the new one is to be delivered.
    pub(super) fn replaced(&mut self) {
        let settings = Settings { policy: DeliverPolicy::All, ..self.settings.clone() };
        let former = std::mem::replace(self, Books::new(settings));
        (self.start, self.cursor) = (1, 1);
        self.former = Some(Box::new(former));
    }

    /// Not before the user has learnt of the last replacement; and a start at the last messages of the subjects, from which nothing
    /// was delivered, is made in the new stream without a word.
    pub(super) fn may_be_replaced(&self) -> bool {
        !self.is_behind() && (self.settings.policy != DeliverPolicy::LastPerSubject || !self.delivered.is_empty())
    }

    /// Whether the user has not learnt of the last replacement.
    pub(super) fn is_behind(&self) -> bool {
        self.former.is_some()
    }

    /// The user got an item.
    pub(super) fn got(&mut self, item: &Item, server: &JetStream) {
        let Some(former) = &mut self.former else {
            return self.enter(item, &|sequence| server.messages("S").any(|(found, ..)| found == sequence));
        };
        former.enter(item, &|_| false);
        if let Item::Report(Report::Interrupted(Cause::StreamReset)) = item {
            let Books { messages, gaps, outages, resets, is_down, .. } = **former;
            *self = Books {
                messages,
                gaps,
                outages,
                resets,
                is_down,
                former: None,
                ..std::mem::replace(self, Books::new(self.settings.clone()))
            };
        }
    }

    fn enter(&mut self, item: &Item, has: &dyn Fn(u64) -> bool) {
        let is_whole = matches!(self.settings.filter.as_str(), "" | ">");
        match item {
            Item::Message { sequence, subject, payload } => {
                let sequence = *sequence;
                assert!(matches(&self.settings.filter, subject), "{subject} does not match");
                let stored = self.stored.get(&sequence);
                assert_eq!(stored, Some(&(subject.clone(), payload.clone())), "message {sequence} is another one");
                if let Some(last) = self.delivered.last() {
                    assert!(sequence > *last, "{sequence} comes after {last}");
                }
                if self.settings.policy == DeliverPolicy::LastPerSubject && sequence < self.start {
                    self.cursor = self.cursor.min(sequence);
                    let skipped = self.stored.range(self.delivered.last().map_or(0, |last| last + 1)..sequence);
                    for (skipped, _) in skipped.filter(|(skipped, _)| self.initial.contains(skipped)) {
                        assert!(!has(*skipped), "{skipped}, the last one of its subject, was skipped");
                    }
                } else {
                    assert!(sequence >= self.start, "{sequence} is before the start {}", self.start);
                    self.check_skipped(sequence, is_whole, has);
                }
                self.cursor = self.cursor.max(self.start).max(sequence + 1);
                self.delivered.insert(sequence);
                self.messages += 1;
            }
            Item::Gap(gap) => {
                assert!(gap.first <= gap.last, "{gap:?}");
                let known = self.delivered.last().map_or(self.start, |last| last + 1);
                assert!(gap.first >= known.min(self.cursor), "{gap:?} begins before {known}");
                assert!(!is_whole || gap.first == self.cursor, "{gap:?} does not begin at {}", self.cursor);
                for lost in gap.first..=gap.last {
                    assert!(!has(lost), "the stream has {lost}, which was reported as lost");
                }
                if is_whole {
                    self.cursor = gap.last + 1;
                }
                self.gaps += gap.messages();
            }
            Item::Report(report) => self.reported(*report),
        }
    }

    fn check_skipped(&self, sequence: u64, is_whole: bool, has: &dyn Fn(u64) -> bool) {
        let from = self.delivered.last().map_or(self.start, |last| (last + 1).max(self.start));
        if is_whole && self.settings.policy != DeliverPolicy::LastPerSubject {
            assert_eq!(sequence, self.cursor, "nothing is known of those between");
        }
        for (skipped, (subject, _)) in self.stored.range(from..sequence) {
            let wanted = matches(&self.settings.filter, subject) && has(*skipped);
            assert!(!wanted, "{skipped} was skipped before {sequence}, and the stream has it");
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Interrupted(cause) => {
                assert!(!std::mem::replace(&mut self.is_down, true), "interrupted twice");
                self.outages += 1;
                self.resets += u64::from(cause == Cause::StreamReset);
            }
            Report::Troubled(_) => assert!(self.is_down, "trouble, and nothing is wrong"),
            Report::Resumed => assert!(std::mem::replace(&mut self.is_down, false), "resumed, and nothing was wrong"),
        }
    }

    /// What the stream has and was not delivered although it must be.
    pub(super) fn missing(&self, server: &JetStream) -> Vec<u64> {
        let wanted = server.messages("S").filter(|(sequence, subject, ..)| {
            matches(&self.settings.filter, subject) && (*sequence >= self.start || self.initial.contains(sequence))
        });
        wanted.map(|(sequence, ..)| sequence).filter(|sequence| !self.delivered.contains(sequence)).collect()
    }
}
