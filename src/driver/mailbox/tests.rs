//! The mailbox after the end: commands are not taken any more, so none are kept.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Shared;
use crate::driver::command::Command;
use crate::driver::inbox::Inbox;
use crate::driver::settings::DriverSettings;
use crate::engine::{EndReason, OutboxRules};
use crate::protocol::Subject;

fn shared() -> Shared {
    Shared::new(DriverSettings::default(), OutboxRules { cap: 1024, ..OutboxRules::default() })
}

#[tokio::test]
async fn after_the_end_commands_are_dropped_and_callers_get_the_reason() {
    let shared = shared();
    let (done, mut waiting) = oneshot::channel();
    shared.command(Command::Flush { seen: 0, done });
    let inbox = Arc::new(Inbox::new(None));
    shared.subscribe(Subject::from("a"), (None, None), inbox.clone()).unwrap();
    assert_eq!(shared.inner().commands.len(), 2);

    shared.end(&EndReason::Closed, true, 0);
    assert!(waiting.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    let (done, mut waiting) = oneshot::channel();
    shared.command(Command::Flush { seen: 0, done });
    assert!(waiting.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    shared.unsubscribe(1);
    shared.drain_subscription(1);
    assert_eq!(shared.subscribe(Subject::from("b"), (None, None), inbox), Err(EndReason::Closed));
    assert_eq!(shared.subscribe_replies(|| Subject::from("c")), Err(EndReason::Closed));
    assert!(shared.inner().commands.is_empty());
}

#[tokio::test]
async fn replies_have_one_subscription_until_it_is_forgotten() {
    let shared = shared();
    for _ in 0..3 {
        shared.subscribe_replies(|| Subject::from("_INBOX.1.*")).unwrap();
    }
    assert_eq!(shared.inner().commands.len(), 1);
    shared.forget_replies();
    shared.subscribe_replies(|| Subject::from("_INBOX.1.*")).unwrap();
    assert_eq!(shared.inner().commands.len(), 2);
}
