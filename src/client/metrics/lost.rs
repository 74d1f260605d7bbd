//! Lost messages by subject, under a bounded number of labels.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ::metrics::{SharedString, counter};

use super::MOST_SUBJECTS;
use super::names::{MESSAGES_LOST, OTHER};
use super::subject::subject_label;
use crate::client::connection::{Lost, LostMessages};

/// The labels of one reporter.
#[derive(Debug, Default)]
pub(super) struct LostSubjects {
    /// `known.len() <= MOST_SUBJECTS`.
    known: BTreeSet<String>,
}

impl LostSubjects {
    /// Reports the messages of an event.
    pub(super) fn report(&mut self, service: &SharedString, lost: &Lost, messages: &LostMessages) {
        let mut by_subject: BTreeMap<Cow<'static, str>, u64> = BTreeMap::new();
        for message in messages.iter() {
            let label = match subject_label(&message.subject).into_owned() {
                label if self.knows(&label) => Cow::Owned(label),
                _ => Cow::Borrowed(OTHER),
            };
            *by_subject.entry(label).or_default() += 1;
        }
        let unnamed = lost.total().saturating_sub(messages.len());
        if unnamed > 0 {
            *by_subject.entry(Cow::Borrowed(OTHER)).or_default() += unnamed;
        }
        for (subject, count) in by_subject {
            counter!(MESSAGES_LOST, "service" => service.clone(), "subject" => subject).increment(count);
        }
    }

    /// Whether `subject` has its own series; if there is room, it gets one.
    fn knows(&mut self, subject: &str) -> bool {
        if self.known.contains(subject) {
            return true;
        }
        let room = self.known.len() < MOST_SUBJECTS;
        if room {
            self.known.insert(subject.to_owned());
        }
        room
    }
}
