//! Turns at dialling: a process dials so many servers at once and no more, however many clients it has and on whatever
//! runtimes they run (D14).
//!
//! A turn is taken in the order of asking. Who stops waiting leaves the line, and who drops a [`Turn`], with or without a
//! connection, hands it to the next.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Dials under way at a time. D14: enough for any start, and a program with a thousand clients does not fill the
/// server's backlog, or its own table of descriptors, in one instant.
const MOST: usize = 64;

/// Who has waited for so long dials without a turn: those who have them hang, perhaps, or are clients of a runtime that nobody
/// drives, and a healthy server is not kept from a client by them. Arbitrary: six attempts that hang, one after the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// Those of this process.
pub(super) static TURNS: LazyLock<Turns> = LazyLock::new(|| Turns::new(MOST, PATIENCE));

/// So many turns, and who waits for one.
#[derive(Debug)]
pub(super) struct Turns {
    free: Semaphore,
    patience: Duration,
}

/// The right to dial, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: Option<SemaphorePermit<'static>>,
}

impl Turns {
    fn new(most: usize, patience: Duration) -> Turns {
        Turns { free: Semaphore::new(most), patience }
    }

    /// A turn, if one is free and nobody waits for it.
    pub(super) fn free(&'static self) -> Option<Turn> {
        self.free.try_acquire().ok().map(|permit| Turn { _permit: Some(permit) })
    }

    /// What a turn was for goes on at another address; nobody waits for that.
    pub(super) fn extra(&'static self) -> Turn {
        self.free().unwrap_or(Turn { _permit: None })
    }

    /// A turn, behind all who have asked before.
    pub(super) async fn wait(&'static self) -> Turn {
        // The semaphore is never closed.
        let permit = timeout(self.patience, self.free.acquire()).await.ok().and_then(Result::ok);
        Turn { _permit: permit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(most: usize, patience: Duration) -> &'static Turns {
        Box::leak(Box::new(Turns::new(most, patience)))
    }

    // N8, D14
    #[tokio::test]
    async fn turns_go_round_in_the_order_of_asking() {
        let turns = turns(1, PATIENCE);
        let held = turns.free().unwrap();
        assert!(turns.free().is_none());
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        for n in 0..5 {
            let told = told.clone();
            waiting.push(tokio::spawn(async move {
                let _turn = turns.wait().await;
                told.send(n).unwrap();
                tokio::task::yield_now().await;
            }));
            tokio::task::yield_now().await;
        }
        // Who has waited and gives up hands nothing on, and keeps nothing.
        waiting.remove(2).abort();
        tokio::task::yield_now().await;
        drop(held);
        for n in [0, 1, 3, 4] {
            assert_eq!(heard.recv().await, Some(n));
        }
        for task in waiting {
            task.await.unwrap();
        }
        assert!(turns.free().is_some());
    }

    // N8, D14
    #[tokio::test]
    async fn a_turn_that_came_to_somebody_who_is_gone_goes_on() {
        let turns = turns(1, PATIENCE);
        let held = turns.free().unwrap();
        let mut gone = Box::pin(turns.wait());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(gone.as_mut().poll(&mut cx).is_pending());
        let next = tokio::spawn(turns.wait());
        tokio::task::yield_now().await;
        drop(held);
        assert!(turns.free().is_none(), "it belongs to the first, who has not looked");
        drop(gone);
        drop(next.await.unwrap());
        assert!(turns.free().is_some());
    }

    // N8, D14
    #[tokio::test]
    async fn those_who_hang_do_not_hold_up_the_others_for_ever() {
        let turns = turns(1, Duration::from_millis(50));
        let stuck = turns.free().unwrap();
        let without = turns.wait().await;
        assert!(without._permit.is_none());
        drop((stuck, without));
        assert!(turns.wait().await._permit.is_some());
    }
}
