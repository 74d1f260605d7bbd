//! Messages of a read that are kept, and what they keep alive.

use super::*;
use crate::protocol::{Decoded, Decoder, Limits, ServerOp, message};

/// A share of one read with messages of these sizes, the payload of each filled with its number.
fn share(sizes: &[usize]) -> Share {
    let mut bytes = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        message(&mut bytes, b"subject", 1, Some(b"reply"), None, &vec![number as u8; *size]);
    }
    let chunk = Bytes::from(bytes);
    let (mut at, mut ranges, mut decoder) = (0, Vec::new(), Decoder::new(Limits::default()));
    while let Ok(Decoded::Op { op: ServerOp::Msg(op), len }) = decoder.decode_server(&chunk[at..]) {
        ranges.push(Range { next: ranges.len() as u32 + 1, ..Range::of(&op, &chunk) });
        at += len;
    }
    let (count, bytes) = (ranges.len() as u32, ranges.iter().map(Range::bytes).sum());
    Share::Many { read: Arc::new(Read { chunk, ranges, one_group: true }), first: 0, count, bytes }
}

// N21
#[test]
fn a_small_message_of_a_batch_is_kept_without_the_read() {
    let sizes: Vec<usize> = (0..400).map(|n| [16, 1, 0, 100, 900, 3000][n % 6]).collect();
    let share = share(&sizes);
    for (raw, size) in share.messages().zip(&sizes) {
        let own = raw.compact(|kept| {
            assert_eq!((kept.subject_bytes(), kept.reply_bytes()), (raw.subject_bytes(), raw.reply_bytes()));
            assert_eq!((kept.payload_bytes(), kept.header_bytes()), (raw.payload_bytes(), None));
            kept.chunk.len()
        });
        assert!(own <= 2 * (size + 32) || *size == 3000, "{own} bytes for {size}");
    }
}

// Fault E4: the memory that a kept message keeps alive was computed for shares that are kept whole.
#[test]
fn small_messages_come_from_blocks_and_long_ones_from_the_read() {
    let sizes: Vec<usize> = (0..400).map(|n| [16, 1, 0, 100, 900, 3000, 16][n % 7]).collect();
    let mut share = share(&sizes);
    let Share::Many { read, .. } = &share else { unreachable!() };
    let read = read.clone();
    let mut block = Block::default();
    let mut kept = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        let raw = block.first(&share);
        assert_eq!((raw.subject_bytes(), &raw.reply().unwrap()[..]), (&b"subject"[..], &b"reply"[..]));
        assert_eq!(raw.payload(), vec![number as u8; *size], "message {number}");
        let (own, len) = (raw.chunk.as_ptr() == read.chunk.as_ptr(), raw.chunk.len());
        assert_eq!(own, *size == 3000, "message {number}");
        assert!(own || len <= BLOCK);
        if number % 50 == 0 {
            kept.push((number, raw.payload()));
        }
        assert_eq!(share.advance(), number + 1 < sizes.len());
    }
    block.clear();
    for (number, payload) in kept {
        assert_eq!(payload, vec![number as u8; sizes[number]], "what is kept is not written over");
    }
}

#[test]
fn a_short_read_is_not_copied_again() {
    let share = share(&[100; 20]);
    let mut block = Block::default();
    assert_eq!(block.first(&share).payload(), vec![0; 100]);
    assert!(block.copy.is_none());
}

// Fault E4, its sibling: the read of a slow reader kept the later ones of others.
#[test]
fn a_read_whose_messages_are_gone_is_freed_although_an_older_one_is_in_use() {
    let (mut kept, gone) = (KeptReads::default(), Arc::new(()));
    let mut read = |size| {
        /// Memory of a chunk, which tells when it is freed.
        struct Memory(Vec<u8>, #[allow(dead_code, reason = "its count is what matters")] Arc<()>);
        impl AsRef<[u8]> for Memory {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        kept.release();
        kept.read(Bytes::from_owner(Memory(vec![b'x'; size], Arc::clone(&gone))), &mut Vec::new(), true)
    };
    let slow = read(16);
    drop((read(1 << 20), read(1 << 20)));
    kept.release();
    assert_eq!(Arc::strong_count(&gone), 2, "that of the slow reader and this one");
    drop(slow);
    kept.release();
    assert_eq!(Arc::strong_count(&gone), 1);
}
