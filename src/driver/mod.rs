//! The driver waits: sockets, names, timers, wakers. It is the only layer with tokio and I/O, and it decides nothing.

mod authenticator;
mod blocking;
mod buffers;
mod chooser;
mod command;
mod confirmations;
mod deliver;
mod dial;
mod dial_permits;
mod dialer;
pub(crate) mod error_type;
mod event_log;
mod files;
mod flushes;
mod gap_marks;
mod guard;
mod handle;
mod inbox;
#[cfg(any(feature = "tls", feature = "nkeys"))]
mod last_good;
mod link;
mod listeners;
mod lower;
mod mailbox;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
mod pinned;
mod reads;
mod record;
mod repeats;
mod requests;
mod resolve;
mod room;
mod secure;
mod settings;
pub(crate) mod spans;
mod statistics;
mod task;
mod timer;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod unread;
mod utc;

pub(crate) use authenticator::{Authenticator, CredentialsQuestion};
pub(crate) use blocking::{Blocking, Thread};
pub(crate) use chooser::{Chooser, Question};
pub(crate) use command::Command;
pub(crate) use confirmations::Settled;
pub(crate) use dialer::{Dialer, Resolver};
pub(crate) use files::shown_path;
pub(crate) use gap_marks::Gap;
pub(crate) use handle::{Confirming, Handle, Waiting, spawn};
pub use inbox::WhenFull;
pub(crate) use inbox::{Inbox, InboxLimits, Next, Reading};
#[cfg(feature = "nkeys")]
pub(crate) use last_good::LastGood;
pub(crate) use listeners::EventFilter;
pub use listeners::Events;
pub(crate) use mailbox::{Denied, OnFull, Priority, Publish, Shared};
pub(crate) use reads::{Messages, Raw, Share};
pub use record::{StateChange, TopologyChange};
pub(crate) use requests::{ManyLimits, RequestFailure, TICKET_LEN, Ticket, lost_in_words};
#[cfg(feature = "jetstream")]
pub(crate) use requests::{Tracker, Unread};
pub(crate) use room::Room;
pub(crate) use secure::TlsSettings;
#[cfg(feature = "tls")]
pub(crate) use secure::{check_certificate, check_key, check_roots};
pub(crate) use settings::DriverSettings;
pub use statistics::Statistics;
pub(crate) use timer::Timer;
pub(crate) use utc::utc;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, ignoring poisoning: every critical section here leaves consistent data at each step
/// (D2).
#[inline(always)]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
