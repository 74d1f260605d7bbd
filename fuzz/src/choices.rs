//! Decisions, read from the front of the input.

use nats_lifeline::protocol::Limits;

/// The remaining input. When it is used up, every decision is 0.
pub(super) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    /// A boolean.
    pub(super) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// A number below `end`, which is at most 256 and not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// A number of any size; small ones take few bytes.
    pub(super) fn number(&mut self) -> u64 {
        let len = self.below(9);
        self.bytes(len).iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// The next `len` bytes, or the remaining ones.
    pub(super) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Up to 255 bytes, after a byte with their length.
    pub(super) fn some_bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        self.bytes(len)
    }

    /// The remaining input.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// The default limits, or small ones that are easily reached.
    pub(super) fn limits(&mut self) -> Limits {
        if self.flag() {
            return Limits::default();
        }
        let mut size = || usize::from(self.byte());
        Limits { line: size(), headers: size(), total: size() }
    }
}

/// Sizes of pieces, without end: the given ones, repeated.
pub(super) struct Sizes<'a> {
    sizes: &'a [u8],
    at: usize,
}

impl<'a> Sizes<'a> {
    /// Up to 15 sizes from the front of `choices`. None: a single piece.
    pub(super) fn new(choices: &mut Choices<'a>) -> Self {
        let count = choices.below(16);
        Self { sizes: choices.bytes(count), at: 0 }
    }

    /// The next size, at least 1.
    pub(super) fn next(&mut self) -> usize {
        let Some(size) = self.sizes.get(self.at) else {
            self.at = 0;
            return self.sizes.first().map_or(usize::MAX, |size| usize::from(*size).max(1));
        };
        self.at += 1;
        usize::from(*size).max(1)
    }
}
