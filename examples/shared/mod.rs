//! Shared code of the larger examples: arguments, output, and figures.

// Every example uses a part of it.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod args;
pub(crate) mod command_line;
pub(crate) mod figures;
pub(crate) mod out;
