//! Counters by subject: which series a message belongs to, and how many messages each one has.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use ::metrics::{SharedString, counter};

use super::MOST_SUBJECTS;
use super::names::MESSAGES_PUBLISHED;
use super::subject::{fits, is_pattern, subject_label};
use crate::protocol::{SubjectFault, check_subscribe_subject};

/// Why these subjects cannot be counted: see [`Client::count_subjects`](crate::Client::count_subjects).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CountSubjectsError {
    /// One is not a subject, nor a pattern with wildcards.
    #[error("cannot count messages to {subject:?}: {fault}")]
    #[non_exhaustive]
    Invalid {
        /// The subject.
        subject: String,
        /// The rule that it breaks.
        fault: SubjectFault,
    },
    /// There are more than [`MOST_SUBJECTS`].
    #[error("too many subjects to count; the limit is {MOST_SUBJECTS}")]
    TooMany,
}

/// The series of a counting client. The set never changes, so counting takes no lock and allocates nothing.
#[derive(Debug)]
pub(super) struct Counts {
    /// Subjects without wildcards and placeholders.
    exact: BTreeMap<Box<[u8]>, usize>,
    /// The others, in the order in which they were given: the first one that fits counts.
    patterns: Vec<(Box<[u8]>, usize)>,
    series: Vec<Series>,
    /// Messages with a series that were accepted or are being published. Always at least as many as the accepted ones,
    /// so that no message is also counted as one without a series.
    claimed: AtomicU64,
}

#[derive(Debug)]
struct Series {
    label: String,
    /// Accepted messages.
    published: AtomicU64,
}

/// A message that is being published. Unless it is [accepted](Claim::accepted), dropping this takes it back.
pub(super) struct Claim<'a>(Option<(&'a AtomicU64, &'a AtomicU64)>);

impl Claim<'_> {
    pub(super) fn accepted(mut self) {
        if let Some((_, published)) = self.0.take() {
            published.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some((claimed, _)) = self.0 {
            claimed.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Counts {
    pub(super) fn new<S: AsRef<str>>(subjects: impl IntoIterator<Item = S>) -> Result<Counts, CountSubjectsError> {
        let (mut exact, mut patterns, mut series) = (BTreeMap::new(), Vec::new(), Vec::<Series>::new());
        for subject in subjects {
            let subject = subject.as_ref();
            check_subscribe_subject(subject.as_bytes())
                .map_err(|fault| CountSubjectsError::Invalid { subject: subject.to_owned(), fault })?;
            let label = subject_label(subject);
            if series.iter().any(|series| series.label == label) {
                continue;
            }
            if series.len() == MOST_SUBJECTS {
                return Err(CountSubjectsError::TooMany);
            }
            let bytes = label.as_bytes().into();
            if is_pattern(&label) {
                patterns.push((bytes, series.len()));
            } else {
                exact.insert(bytes, series.len());
            }
            series.push(Series { label: label.into_owned(), published: AtomicU64::new(0) });
        }
        Ok(Counts { exact, patterns, series, claimed: AtomicU64::new(0) })
    }

    fn find(&self, subject: &[u8]) -> Option<&Series> {
        let pattern = || self.patterns.iter().find(|(pattern, _)| fits(pattern, subject)).map(|(_, at)| at);
        self.series.get(*self.exact.get(subject).or_else(pattern)?)
    }

    /// Claims a message before it is published.
    pub(super) fn claim(&self, subject: &[u8]) -> Claim<'_> {
        let Some(series) = self.find(subject) else { return Claim(None) };
        // The lock of the outbox, which the publisher takes after this and a reporter before it looks here, orders it.
        self.claimed.fetch_add(1, Ordering::Relaxed);
        Claim(Some((&self.claimed, &series.published)))
    }

    /// Messages that have a series. Read it after the number of accepted messages.
    pub(super) fn claimed(&self) -> u64 {
        self.claimed.load(Ordering::Relaxed)
    }

    fn published(&self) -> impl Iterator<Item = u64> {
        self.series.iter().map(|series| series.published.load(Ordering::Relaxed))
    }

    /// The current values, for a reporter that counts from now on.
    pub(super) fn all(&self) -> Vec<u64> {
        self.published().collect()
    }

    /// Reports what has been published since `reported`, and updates it.
    pub(super) fn report(&self, service: &SharedString, reported: &mut [u64]) {
        for ((series, published), reported) in self.series.iter().zip(self.published()).zip(reported) {
            let label = SharedString::from(series.label.clone());
            counter!(MESSAGES_PUBLISHED, "service" => service.clone(), "subject" => label)
                .increment(published.saturating_sub(*reported));
            *reported = published;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The label under which a message to `subject` counts.
    fn label<'a>(counts: &'a Counts, subject: &str) -> Option<&'a str> {
        counts.find(subject.as_bytes()).map(|series| series.label.as_str())
    }

    // S57, S60
    #[test]
    fn a_message_counts_under_the_first_subject_that_fits() {
        let uuid = "0191d4e6-7bb0-7c3a-9e5d-0242ac120002";
        let user = format!("users.{uuid}.seen");
        let given = ["orders.*.new", "orders.>", "orders.eu.new", "orders.17.lines", &user, "_INBOX.>", "plain"];
        let counts = Counts::new(given).unwrap();
        for (subject, expected) in [
            ("orders.eu.new", Some("orders.eu.new")),
            ("orders.us.new", Some("orders.*.new")),
            ("orders.us.old", Some("orders.>")),
            ("orders", None),
            ("plain", Some("plain")),
            ("plain.x", None),
            ("users.0191d4e6-7bb0-7c3a-9e5d-0242ac12ffff.seen", Some("users.{uuid}.seen")),
            ("users.someone.seen", None),
            ("_INBOX.Wn3pQ0.7", Some("_INBOX.{id}")),
            ("_INBOX", None),
            ("", None),
        ] {
            assert_eq!(label(&counts, subject), expected, "{subject}");
        }
        // Without a pattern that comes first, a number fits the placeholder of another number.
        let counts = Counts::new(["orders.17.lines", "orders.18.lines"]).unwrap();
        assert_eq!(label(&counts, "orders.4711.lines"), Some("orders.{id}.lines"));
        assert_eq!(label(&counts, "orders.x.lines"), None);
        assert_eq!(counts.series.len(), 1, "both have the same label");
    }

    // S60
    #[test]
    fn the_set_is_bounded_and_its_subjects_are_checked() {
        let many = |number: usize| Counts::new((0..number).map(|number| format!("names.n{number}")));
        assert_eq!(many(MOST_SUBJECTS).unwrap().series.len(), MOST_SUBJECTS);
        assert_eq!(many(MOST_SUBJECTS + 1).unwrap_err(), CountSubjectsError::TooMany);
        for subject in ["", "a b", "a..b", "a.>.b", "a\r\nPUB b 0"] {
            let error = Counts::new([subject]).unwrap_err();
            assert!(matches!(&error, CountSubjectsError::Invalid { subject: named, .. } if named == subject));
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }

    // S57
    #[test]
    fn a_message_that_is_not_accepted_is_taken_back() {
        let counts = Counts::new(["a"]).unwrap();
        drop(counts.claim(b"a"));
        drop(counts.claim(b"b"));
        assert_eq!((counts.claimed(), counts.all()), (0, vec![0]));
        counts.claim(b"a").accepted();
        counts.claim(b"b").accepted();
        assert_eq!((counts.claimed(), counts.all()), (1, vec![1]));
    }
}
