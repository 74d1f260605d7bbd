//! A payload that is shared with its publisher, who may have given it a destructor.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

/// A payload that is not copied. `Bytes::from_owner` lets a user's own type own the bytes, and run code when the last reference
/// is dropped. A panic there is caught: it is the user's, and no reason for a connection to end.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Payload(Bytes);

impl Payload {
    pub(in crate::engine) fn new(bytes: Bytes) -> Payload {
        Payload(bytes)
    }
}

impl Deref for Payload {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(bytes)));
    }
}
