//! Bytes and operations: pure functions, nothing that waits and nothing that decides.
