//! The switches of a broker's faults, and where its tasks look at them.

use super::lock;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// The switches of one broker.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) no_accept: AtomicBool,
    pub(super) no_read: AtomicBool,
    pub(super) no_write: AtomicBool,
    pub(super) close_on_accept: AtomicBool,
    pub(super) close_after_info: AtomicBool,
    pub(super) close_after_pong: AtomicBool,
    pub(super) drop_pongs: AtomicBool,
    pub(super) reject_logins: AtomicBool,
    /// Something was switched off.
    changed: Notify,
    pub(super) cut_received: Cut,
    pub(super) cut_sent: Cut,
}

impl Faults {
    /// Waits while a switch is on.
    pub(super) async fn while_set(&self, switch: &AtomicBool) {
        while switch.load(Ordering::Acquire) {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if switch.load(Ordering::Acquire) {
                changed.await;
            }
        }
    }

    pub(super) fn set(&self, switch: &AtomicBool, on: bool) {
        switch.store(on, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Frozen: not even timers run.
    pub(super) fn is_frozen(&self) -> bool {
        self.no_read.load(Ordering::Acquire) && self.no_write.load(Ordering::Acquire)
    }
}

/// "Cut a connection after this many bytes", for one direction.
#[derive(Default)]
pub(super) struct Cut {
    /// How often it was set; 0 is never. A meter that sees a new one starts again.
    epoch: AtomicU64,
    /// The epoch and the bytes, until a connection was cut.
    armed: Mutex<Option<(u64, u64)>>,
}

/// What one connection has counted for a [`Cut`].
#[derive(Default)]
pub(super) struct Meter {
    epoch: u64,
    bytes: u64,
}

impl Cut {
    pub(super) fn set(&self, bytes: Option<u64>) {
        let mut armed = lock(&self.armed);
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        *armed = bytes.map(|bytes| (epoch, bytes));
    }

    /// How many bytes may pass before the cut; `usize::MAX` without one.
    pub(super) fn allowance(&self, meter: &mut Meter) -> usize {
        if self.epoch.load(Ordering::Acquire) == 0 {
            return usize::MAX;
        }
        let Some((epoch, bytes)) = *lock(&self.armed) else {
            return usize::MAX;
        };
        if meter.epoch != epoch {
            *meter = Meter { epoch, bytes: 0 };
        }
        usize::try_from(bytes.saturating_sub(meter.bytes)).unwrap_or(usize::MAX)
    }

    /// Counts bytes that passed. Returns whether this connection is to be cut now.
    pub(super) fn passed(&self, meter: &mut Meter, bytes: usize) -> bool {
        if self.epoch.load(Ordering::Acquire) == 0 {
            return false;
        }
        meter.bytes += bytes as u64;
        let mut armed = lock(&self.armed);
        match *armed {
            Some((epoch, limit)) if epoch == meter.epoch && meter.bytes >= limit => {
                *armed = None;
                true
            }
            _ => false,
        }
    }
}
