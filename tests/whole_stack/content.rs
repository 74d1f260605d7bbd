//! What is published: from who says it and its number, the whole of a message follows.

use bytes::Bytes;

/// A message: who says it, and which of theirs it is.
pub(crate) type Id = (char, u64);

pub(crate) fn subject((who, _): Id) -> String {
    format!("n.{who}")
}

pub(crate) fn payload(id: Id, size: usize) -> Bytes {
    let mut payload = format!("{} {} ", id.0, id.1).into_bytes();
    payload.resize(size.max(payload.len()), filler(id));
    payload.into()
}

/// Which message this is, if every byte of it is as it was published.
pub(crate) fn read(payload: &[u8]) -> Option<Id> {
    let mut parts = payload.splitn(3, |byte| *byte == b' ');
    let (who, number, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let [who] = who else { return None };
    let id = (char::from(*who), std::str::from_utf8(number).ok()?.parse().ok()?);
    rest.iter().all(|byte| *byte == filler(id)).then_some(id)
}

fn filler((who, number): Id) -> u8 {
    b'a' + ((u64::from(u32::from(who)) + number) % 26) as u8
}
