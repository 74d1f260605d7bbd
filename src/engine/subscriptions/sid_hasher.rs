//! The hash of the subscription table.

use std::hash::Hasher;

/// Sids are our own and count upwards, so no attacker chooses them: one multiplication is enough.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SidHasher(u64);

impl Hasher for SidHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        // 2^64 divided by the golden ratio; the high bits, which select the bucket's tag, depend on all bits.
        self.0 = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
