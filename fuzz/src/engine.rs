//! placeholder
pub fn engine(_: &[u8]) {}
