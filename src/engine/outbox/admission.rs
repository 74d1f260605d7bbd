//! What is admitted, when, and why not.

use bytes::Bytes;

use super::{CHUNK, Outbox, SHARED_PAYLOAD};
use crate::protocol::{self, PublishPrefix, SHORT_FRAME};

/// What may be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// No connection: messages are buffered up to the cap; SUB and UNSUB are not frames, the table replays them.
    Buffering,
    /// Connected: messages are admitted up to the mark; SUB and UNSUB are frames in the same order.
    Open,
    /// Nothing is admitted any more, or not until the client connects again.
    Shut,
}

/// One message to publish, borrowed. Subject and reply were checked by the caller.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Subject, as it goes on the wire.
    pub subject: &'a [u8],
    /// Reply subject.
    pub reply: Option<&'a [u8]>,
    /// Header block, `NATS/1.0` line and final empty line included.
    pub headers: Option<&'a [u8]>,
    /// Payload.
    pub payload: &'a Bytes,
}

impl Frame<'_> {
    /// Bytes on the wire.
    #[allow(clippy::len_without_is_empty, reason = "no frame is empty")]
    #[inline(always)]
    pub fn len(&self) -> usize {
        protocol::publish_len(
            self.subject.len(),
            self.reply.map(<[u8]>::len),
            self.headers.map(<[u8]>::len),
            self.payload.len(),
        )
    }
}

/// Why a frame was not admitted. The caller keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The gate is open and the mark is reached: there is room as soon as the transport takes bytes.
    NoRoom,
    /// The gate is buffering and the frame would exceed the cap.
    Full {
        /// Bytes buffered.
        pending: usize,
        /// The cap.
        limit: usize,
        /// Bytes of the refused frame.
        frame: usize,
    },
    /// The gate is buffering and one more message would exceed the cap in messages.
    TooMany {
        /// Messages buffered.
        pending: u64,
        /// The cap.
        limit: u64,
    },
    /// The message was accepted and immediately dropped by the policy
    /// [`DropNewest`](crate::engine::OverflowPolicy::DropNewest): it counts as lost and is returned with the losses.
    Dropped,
    /// The gate is buffering and the frame alone exceeds the cap: only a connected server can take it.
    TooLarge {
        /// Bytes buffered.
        pending: usize,
        /// The cap.
        limit: usize,
        /// Bytes of the refused frame.
        frame: usize,
    },
    /// The gate is shut.
    Shut,
}

impl Outbox {
    /// Admits a short message without headers and reply subject if the gate is open, the mark is not reached and the chunk has
    /// room. Returns its bytes on the wire; `None`: use [`admit`](Self::admit).
    #[inline(always)]
    pub fn admit_short(&mut self, subject: &[u8], payload: &[u8]) -> Option<usize> {
        let head = &mut self.tail.head;
        let clear = self.pending < self.open_mark && head.capacity() - head.len() >= SHORT_FRAME;
        if !clear {
            return None;
        }
        let len = protocol::publish_short(head, subject, payload)?;
        self.tail.messages += 1;
        self.pending += len;
        self.admitted += 1;
        Some(len)
    }

    /// Admits a message without headers and reply subject that is not large, if the gate is open and the mark is not reached.
    /// Returns its bytes on the wire; `None`: use [`admit`](Self::admit).
    #[inline(always)]
    pub fn admit_prefixed(&mut self, prefix: &PublishPrefix, payload: &[u8]) -> Option<usize> {
        if self.pending >= self.open_mark || payload.len() >= SHARED_PAYLOAD {
            return None;
        }
        // A short frame is written with some bytes to spare.
        let head = self.room_for(prefix.frame_len(payload.len()).max(SHORT_FRAME));
        let len = prefix.encode(head, payload);
        self.tail.messages += 1;
        self.pending += len;
        self.admitted += 1;
        Some(len)
    }

    /// Admits encoded messages without headers and reply subject, all or none, under the same conditions. `block` is smaller
    /// than a chunk.
    pub fn admit_block(&mut self, block: &[u8], messages: u64) -> Option<usize> {
        if self.pending >= self.open_mark || block.len() > CHUNK {
            return None;
        }
        self.room_for(block.len()).extend_from_slice(block);
        self.tail.messages += messages;
        self.pending += block.len();
        self.admitted += messages;
        Some(block.len())
    }

    /// Admits SUB as a frame, so that it keeps its place among the messages. Only while the gate is open; `false`: it is not,
    /// and the table will replay the subscription.
    pub fn admit_subscribe(&mut self, subject: &[u8], queue: Option<&[u8]>, sid: u64) -> bool {
        let admitted = self.admit_interest(|head| protocol::subscribe(head, subject, queue, sid));
        if admitted {
            self.subscribed = sid;
        }
        admitted
    }

    /// The last sid whose SUB was admitted as a frame.
    pub(in crate::engine) fn last_subscribed(&self) -> u64 {
        self.subscribed
    }

    /// The same for UNSUB.
    pub fn admit_unsubscribe(&mut self, sid: u64) -> bool {
        self.admit_interest(|head| protocol::unsubscribe(head, sid, None))
    }

    fn admit_interest(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.gate != Gate::Open {
            return false;
        }
        let head = self.room_for(256);
        let before = head.len();
        encode(head);
        let len = head.len() - before;
        self.tail.interest = true;
        self.pending += len;
        true
    }
}
