//! What a test sees of an engine and its outbox.

use std::time::Duration;

use super::Pair;

impl Pair {
    /// Everything that the engine has said since the last look, in order.
    pub(in crate::engine::tests) fn journal(&mut self) -> Vec<String> {
        self.settle();
        std::mem::take(&mut self.journal)
    }

    /// The journal is exactly this.
    #[track_caller]
    pub(in crate::engine::tests) fn expect(&mut self, expected: &[&str]) {
        assert_eq!(self.journal(), expected);
    }

    /// The journal begins an entry with this, somewhere.
    #[track_caller]
    pub(in crate::engine::tests) fn expect_among(&mut self, expected: &str) {
        let journal = self.journal();
        assert!(journal.iter().any(|entry| entry.starts_with(expected)), "no {expected:?} in {journal:#?}");
    }

    pub(in crate::engine::tests) fn forget(&mut self) {
        self.settle();
        self.journal.clear();
        self.far.looked = self.wire.get(self.far.wire).map_or(0, Vec::len);
    }

    /// What the present connection's server got since the last look, line ends shown as blanks.
    pub(in crate::engine::tests) fn written(&mut self) -> String {
        self.settle();
        let wire = self.wire.get(self.far.wire).map_or(&[][..], Vec::as_slice);
        let text = String::from_utf8_lossy(&wire[self.far.looked..]).replace("\r\n", " ").trim_end().to_owned();
        self.far.looked = wire.len();
        text
    }

    /// C: exactly this; `…` stands for anything.
    #[track_caller]
    pub(in crate::engine::tests) fn expect_written(&mut self, pattern: &str) {
        let written = self.written();
        let mut rest = written.as_str();
        let mut parts = pattern.split('…').map(str::trim).peekable();
        let first = parts.next().unwrap_or_default();
        let mut fits = rest.starts_with(first);
        rest = rest.get(first.len()..).unwrap_or_default();
        while let (true, Some(part)) = (fits, parts.next()) {
            let at = if parts.peek().is_none() {
                rest.ends_with(part).then(|| rest.len() - part.len())
            } else {
                rest.find(part)
            };
            fits = at.is_some();
            rest = at.and_then(|at| rest.get(at + part.len()..)).unwrap_or_default();
        }
        assert!(fits && rest.is_empty(), "written: {written:?}, expected: {pattern:?}");
    }

    pub(in crate::engine::tests) fn in_doubt(&self) -> u64 {
        self.engine.ledger(self.outbox.accepted()).in_doubt
    }

    /// How long since the beginning.
    pub(in crate::engine::tests) fn at(&self) -> Duration {
        self.now - self.start
    }

    /// Messages that came for `sid`.
    pub(in crate::engine::tests) fn delivered_to(&self, sid: u64) -> usize {
        self.delivered.iter().filter(|other| **other == sid).count()
    }
}
