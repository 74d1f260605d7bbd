//! Messages of which a second copy has no effect: what a lost connection leaves in doubt of them is sent again.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::lock;

/// The last such messages, which have a subject and nothing else: acknowledgements.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<Ring>);

/// The subjects of the last messages in one block of memory: what is received costs no allocation, and is not kept alive.
#[derive(Debug, Default)]
struct Ring {
    /// The number of each message, and the length of its subject.
    messages: VecDeque<(u64, usize)>,
    subjects: VecDeque<u8>,
}

/// As many bytes of subjects are kept. A server that reads confirms what it has received after 256 KiB, or 100 ms; the rest is
/// what may be in the buffers of a connection.
const MOST: usize = 1 << 20;

impl Repeats {
    /// A message with this number was admitted. Called under the mailbox's lock, so that numbers come in ascending order.
    pub(super) fn add(&self, number: u64, subject: &[u8]) {
        let mut ring = lock(&self.0);
        while ring.subjects.len() + subject.len() > MOST && ring.pop().is_some() {}
        ring.messages.push_back((number, subject.len()));
        ring.subjects.extend(subject);
    }

    /// The subjects of the messages with the numbers `after + 1..=through`, which are forgotten, and those before them.
    pub(super) fn take(&self, after: u64, through: u64) -> Vec<Vec<u8>> {
        let (mut ring, mut taken) = (lock(&self.0), Vec::new());
        while let Some((number, _)) = ring.messages.front().copied().filter(|(number, _)| *number <= through) {
            let subject = ring.pop().unwrap_or_default();
            if number > after {
                taken.push(subject);
            }
        }
        taken
    }
}

impl Ring {
    fn pop(&mut self) -> Option<Vec<u8>> {
        let (_, len) = self.messages.pop_front()?;
        Some(self.subjects.drain(..len.min(self.subjects.len())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_doubt_is_taken_once_and_in_order() {
        let repeats = Repeats::default();
        for number in [3, 4, 7, 8] {
            repeats.add(number, format!("ack.{number}").as_bytes());
        }
        assert_eq!(repeats.take(3, 7), [b"ack.4", b"ack.7"], "up to 3 they are confirmed");
        assert!(repeats.take(0, 7).is_empty());
        assert_eq!(repeats.take(0, 9), [b"ack.8"]);
        assert_eq!(lock(&repeats.0).subjects.len(), 0);
    }

    #[test]
    fn only_the_last_ones_are_kept() {
        let repeats = Repeats::default();
        let subject = [b'a'; 1000];
        for number in 1..=2_000 {
            repeats.add(number, &subject);
        }
        let ring = lock(&repeats.0);
        assert_eq!((ring.subjects.len(), ring.messages.len()), (1_048_000, 1_048));
        drop(ring);
        assert_eq!(repeats.take(0, 2_000).len(), 1_048);
    }
}
