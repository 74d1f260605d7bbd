//! The header map: order, sharing, caches, what it makes of bad blocks.
