//! Worlds of push consumers.
