//! The part that decides: machines without I/O, clock and randomness. What happens, and when, is told to them; what they return is
//! what to do.

pub(super) mod publish;
