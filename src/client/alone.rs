//! Yielding to other tasks, unless the call has its thread for itself: a blocking client waits there.

#[cfg(feature = "blocking")]
thread_local! {
    static ALONE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Polls a call that has this thread for itself. If the thread belongs to a runtime, that runtime is blocked.
#[cfg(feature = "blocking")]
pub(crate) fn on_this_thread<R>(poll: impl FnOnce() -> R) -> R {
    struct Restored(bool);
    impl Drop for Restored {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _restored = Restored(ALONE.replace(true));
    poll()
}

/// Yields to other tasks once. A call that has the thread for itself continues: there are none, and tokio would leave the
/// wake-up to the blocked runtime.
pub(crate) async fn yield_once() {
    #[cfg(feature = "blocking")]
    if ALONE.get() {
        return;
    }
    tokio::task::yield_now().await;
}
