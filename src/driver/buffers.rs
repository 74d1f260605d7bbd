//! Read buffers: the current one, and those whose messages are still being read, kept for reuse.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::BytesMut;

use super::task::{IDLE, READ_MAX};
use crate::engine::time::after;

/// At most this many are kept for reuse. Without them every read under load would use fresh memory from the system,
/// whose pages must be cleared first. Arbitrary: 2 MiB when the buffers have grown.
const KEPT: usize = 8;

/// Full buffers. Each handle keeps its memory alive until it is reused, at most [`KEPT`] of them.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    kept: VecDeque<BytesMut>,
    /// When more than [`READ_MAX`] was last needed, for one large operation; `None`: not since the memory was freed.
    large: Option<Instant>,
}

impl Buffers {
    /// Makes room for `want` more bytes in `buf`, keeping its content.
    pub(super) fn make_room(&mut self, buf: &mut BytesMut, want: usize, now: Instant) {
        if want > READ_MAX {
            self.large = Some(now);
        }
        if buf.try_reclaim(want) {
            return;
        }
        let need = want + buf.len();
        let free = self.kept.iter_mut().position(|kept| kept.try_reclaim(need));
        let mut next = free.and_then(|at| self.kept.remove(at)).unwrap_or_else(|| BytesMut::with_capacity(need));
        next.extend_from_slice(buf);
        let mut old = std::mem::replace(buf, next);
        // Also if there is no spare capacity: all memory comes back with the last message.
        old.clear();
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(old);
    }

    /// Frees the memory.
    pub(super) fn shrink(&mut self) {
        self.kept = VecDeque::new();
        self.large = None;
    }

    /// When the memory of large operations is freed although small ones keep coming, unless another large one comes.
    pub(super) fn shrinks_at(&self) -> Option<Instant> {
        self.large.map(|large| after(large, IDLE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_reused_when_its_messages_are_gone() {
        let mut buffers = Buffers::default();
        let mut buf = BytesMut::with_capacity(64);
        buf.extend_from_slice(&[b'a'; 60]);
        let place = buf.as_ptr() as usize;
        let message = buf.split_to(50).freeze();

        buffers.make_room(&mut buf, 50, Instant::now());
        assert_eq!((&buf[..], &message[..]), (&[b'a'; 10][..], &[b'a'; 50][..]), "what is left moves along");
        assert_ne!(buf.as_ptr() as usize, place + 50);
        drop(message);
        let other = buf.split_to(10).freeze();
        buffers.make_room(&mut buf, 60, Instant::now());
        assert_eq!(buf.as_ptr() as usize, place, "the first again");
        drop(other);
    }

    #[test]
    fn only_a_few_buffers_are_kept() {
        let mut buffers = Buffers::default();
        let mut buf = BytesMut::new();
        let mut messages = Vec::new();
        for _ in 0..100 {
            buffers.make_room(&mut buf, 64, Instant::now());
            buf.extend_from_slice(&[0; 64]);
            messages.push(buf.split().freeze());
        }
        assert_eq!(buffers.kept.len(), KEPT);
        buffers.shrink();
        assert_eq!(buffers.kept.capacity(), 0);
    }
}
