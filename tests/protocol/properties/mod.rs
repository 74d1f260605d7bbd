//! Properties of the protocol layer over generated input, by area.

mod documents;
mod frames;
mod headers;
mod names;
