//! How a request is found by the subject of its reply.

/// The name of a request: the last token of its reply subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// The longest token.
pub(crate) const TICKET_LEN: usize = 16;

impl Ticket {
    /// The token in the reply subject: hexadecimal digits, without leading zeros.
    pub(crate) fn encode(self, token: &mut [u8; TICKET_LEN]) -> &[u8] {
        let (left, right) = token.split_at_mut(TICKET_LEN / 2);
        left.copy_from_slice(&hex(self.generation));
        right.copy_from_slice(&hex(self.index));
        let number = u64::from(self.generation) << 32 | u64::from(self.index);
        let zeros = number.leading_zeros().min(63) as usize / 4;
        token.get(zeros..).unwrap_or_default()
    }

    pub(super) fn decode(subject: &[u8]) -> Option<Ticket> {
        let mut number = 0_u64;
        for (byte, place) in subject.iter().rev().zip(0..) {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'.' if place > 0 => return Some(Ticket { index: number as u32, generation: (number >> 32) as u32 }),
                _ => return None,
            };
            number |= u64::from(digit).checked_shl(4 * place)?;
        }
        None
    }
}

/// Eight digits, all at a time: one in each byte.
fn hex(number: u32) -> [u8; 8] {
    let mut digits = u64::from(number);
    digits = (digits << 16 | digits) & 0x0000_ffff_0000_ffff;
    digits = (digits << 8 | digits) & 0x00ff_00ff_00ff_00ff;
    digits = (digits << 4 | digits) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (digits + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (digits + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(index: u32, generation: u32) -> Vec<u8> {
        Ticket { index, generation }.encode(&mut [0; TICKET_LEN]).to_vec()
    }

    #[test]
    fn a_token_is_a_number_in_hexadecimal_digits() {
        assert_eq!(token(0, 0), b"0");
        assert_eq!(token(0xa0f, 0), b"a0f");
        assert_eq!(token(3, 0x10), b"1000000003");
        assert_eq!(token(u32::MAX, u32::MAX), b"ffffffffffffffff");
        for odd in ["7", ".", "a.", "a.g", "a.-1", "a.00000000000000007", "a.7 "] {
            assert_eq!(Ticket::decode(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(Ticket::decode(b"a.0000000300000007"), Some(Ticket { index: 7, generation: 3 }));
    }

    proptest! {
        #[test]
        fn a_request_is_found_by_its_token(index in any::<u32>(), generation in any::<u32>()) {
            let number = u64::from(generation) << 32 | u64::from(index);
            prop_assert_eq!(String::from_utf8(token(index, generation)).unwrap(), format!("{number:x}"));
            let subject = [b"_INBOX.x.", &token(index, generation)[..]].concat();
            prop_assert_eq!(Ticket::decode(&subject), Some(Ticket { index, generation }));
        }
    }
}
