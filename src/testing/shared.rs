//! What all tasks of a broker share, whatever it listens on: settings, fault switches and counters.

use super::lock;
use super::session;
use super::switches::Faults;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How many accept times are kept. Arbitrary: more than any test looks at, and bounded.
const ACCEPT_TIMES: usize = 65_536;

/// The settings that a broker keeps.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// What its sessions go by.
    pub(super) session: session::Settings,
    pub(super) server_name: Option<String>,
    pub(super) max_pending: usize,
    pub(super) max_connections: usize,
    pub(super) second_info: bool,
    pub(super) jetstream: bool,
    pub(super) ping_interval: Duration,
    pub(super) max_pings_out: u32,
    pub(super) auth_timeout: Duration,
    pub(super) write_deadline: Duration,
    pub(super) lame_duck_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session: session::Settings::default(),
            server_name: None,
            max_pending: 64 << 20,
            max_connections: 65_536,
            second_info: true,
            jetstream: false,
            ping_interval: Duration::from_secs(120),
            max_pings_out: 2,
            auth_timeout: Duration::from_secs(2),
            write_deadline: Duration::from_secs(10),
            lame_duck_grace: Duration::from_secs(10),
        }
    }
}

impl Settings {
    pub(super) fn server_name(&self, port: u16) -> String {
        let unnamed = || format!("broker-{port}");
        self.server_name.clone().unwrap_or_else(unnamed)
    }
}

/// What all tasks of a broker share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) faults: Faults,
    pub(super) counters: Counters,
    pub(super) max_payload: AtomicUsize,
    pub(super) max_connections: AtomicUsize,
    /// A connection or subscription came or went.
    pub(super) changed: Notify,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) accept_times: Mutex<VecDeque<Instant>>,
    pub(super) messages_in: AtomicU64,
    pub(super) messages_out: AtomicU64,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            faults: Faults::default(),
            counters: Counters::default(),
            max_payload: AtomicUsize::new(settings.session.max_payload),
            max_connections: AtomicUsize::new(settings.max_connections),
            changed: Notify::new(),
            settings,
        }
    }

    /// The settings of a session that begins now, with this nonce.
    pub(super) fn session_settings(&self, nonce: String) -> session::Settings {
        let max_payload = self.max_payload.load(Ordering::Acquire);
        session::Settings { max_payload, nonce, ..self.settings.session.clone() }
    }
}

impl Counters {
    pub(super) fn count_accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let mut times = lock(&self.accept_times);
        if times.len() == ACCEPT_TIMES {
            times.pop_front();
        }
        times.push_back(Instant::now());
    }
}
