//! Reads that a large message has made long: its neighbours are copied, so that they do not keep it alive.

use super::{Group, copied};
use crate::driver::reads::{Read, Share};

/// A longer read is not an ordinary one: this is twice the largest read buffer.
const LONG: usize = 512 * 1024;

/// Copies have at most this many bytes each, as ordinary reads have, unless they are of a single message.
const COPY: usize = 128 * 1024;

/// Whether the messages of `read` are to be taken [`apart`].
#[inline]
pub(super) fn is_long(read: &Read) -> bool {
    read.chunk.len() > LONG
}

/// The group's messages in order. Those that are at least a quarter of the read keep it alive; others are copied.
#[cold]
pub(super) fn apart(read: &Read, group: &Group) -> Vec<Share> {
    let (mut shares, mut others) = (Vec::new(), None::<Group>);
    let copy = |others: Group| copied(&read.ranges, &read.chunk, &others);
    let mut at = group.first;
    for _ in 0..group.count {
        let Some(range) = read.ranges.get(at as usize) else { break };
        if range.span().len() >= read.chunk.len() / 4 {
            shares.extend(others.take().map(copy));
            shares.push(Share::One { chunk: read.chunk.clone(), range: *range });
        } else {
            let full = others.as_ref().is_some_and(|run| run.bytes + range.bytes() > COPY);
            if full {
                shares.extend(others.take().map(copy));
            }
            let run = others.get_or_insert(Group { sid: group.sid, first: at, last: at, count: 0, bytes: 0 });
            run.last = at;
            run.count += 1;
            run.bytes += range.bytes();
        }
        at = range.next;
    }
    shares.extend(others.map(copy));
    shares
}
