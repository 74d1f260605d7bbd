//! Properties of the protocol layer over generated input, by area.

mod documents;
mod frames;
mod header_changes;
mod headers;
mod names;
