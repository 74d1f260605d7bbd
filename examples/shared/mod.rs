//! Shared code of the larger examples: start, output, and figures.

// Every example uses a part of it.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod begin;
pub(crate) mod figures;
pub(crate) mod out;
