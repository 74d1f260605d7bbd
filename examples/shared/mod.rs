//! What the larger examples have in common: how they begin, how they write, and how figures look.

// Every example takes what it needs.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod begin;
pub(crate) mod figures;
pub(crate) mod out;
