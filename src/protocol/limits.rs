//! How much the decoder accepts from a peer, with all numbers in one place.

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What the [`Decoder`](super::Decoder) refuses.
///
/// These limit what is *accepted*. `max_payload` in the server's INFO limits what is *sent*, and not what may arrive: a message
/// may come from a publisher at another node with a larger limit (observed: 2,000,000 bytes from a node with 1 MiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest control line, in bytes without its LF.
    ///
    /// Default 128 KiB. An INFO with 4,000 `connect_urls` has 72 KB, and a server with `max_control_line: 65536` sent a MSG
    /// line of 60,009 bytes; the default is the power of two above both.
    pub line: usize,
    /// The longest header block, in bytes.
    ///
    /// Default 65 MiB, as `total`: `max_payload` limits headers and payload together, so a publisher may fill it with headers
    /// alone.
    pub headers: usize,
    /// The largest body, header block and payload together, in bytes.
    ///
    /// Default 65 MiB: 64 MiB is the largest `max_payload` that servers accept in their
    /// configuration, and 1 MiB is room for the header block.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 128 * KIB, headers: LARGEST, total: LARGEST }
    }
}

/// No server sends a larger body. A body over a lower limit is skipped up to this size; an announcement of more is garbage.
pub(super) const LARGEST: usize = 64 * MIB + MIB;

/// The highest limit that makes sense: positions in the buffer are 32-bit numbers.
#[cfg(not(target_family = "wasm"))]
pub(crate) const HIGHEST: usize = 1024 * MIB;
