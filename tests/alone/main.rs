//! Tests of what belongs to the whole process: its memory, its descriptors, its turns at dialling. They take turns, and are no
//! part of another target, whose tests would be counted with them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod broker_leaks;
mod dial_turns;
#[cfg(target_os = "linux")]
mod flat_memory;

static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
