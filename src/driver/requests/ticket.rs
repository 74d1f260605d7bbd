//! How a request is found by the subject of its reply.

/// The name of a request: the last token of its reply subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl Ticket {
    /// Appends it as it stands in the reply subject: in hexadecimal digits, without leading zeros.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let number = u64::from(self.generation) << 32 | u64::from(self.index);
        let digits = (67 - number.leading_zeros().min(63)) / 4;
        out.extend((0..digits).rev().map(|digit| {
            let value = (number >> (4 * digit)) as u8 & 0xf;
            if value < 10 { b'0' + value } else { b'a' - 10 + value }
        }));
    }

    pub(super) fn decode(subject: &[u8]) -> Option<Ticket> {
        let at = subject.iter().rposition(|byte| *byte == b'.')?;
        let token = subject.get(at + 1..).filter(|token| (1..=16).contains(&token.len()))?;
        let mut number = 0_u64;
        for byte in token {
            number = number << 4 | u64::from(char::from(*byte).to_digit(16)?);
        }
        Some(Ticket { index: number as u32, generation: (number >> 32) as u32 })
    }
}
