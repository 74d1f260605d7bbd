//! Who reads: subscribers, and the listener of the events.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use nats_lifeline::Subscriber;
use nats_lifeline::connection::{ConnectionEvent, Events};
use tokio::time::Instant;

use crate::content::{self, Id};
use crate::users::Book;

/// Reads until somebody called `last` has said something, or to the end; what came, in order.
pub(crate) async fn listen(mut subscriber: Subscriber, last: char) -> Vec<Id> {
    let mut came = Vec::new();
    while let Some(message) = subscriber.next().await {
        let id = content::read(&message.payload).unwrap_or_else(|| panic!("nobody published this: {message:?}"));
        assert_eq!(message.subject.as_str(), content::subject(id));
        let number = message.headers.as_ref().and_then(|headers| headers.get("Number")).map(|value| value.as_str());
        assert!(number.is_none_or(|number| number == id.1.to_string()), "another's headers: {message:?}");
        came.push(id);
        if id.0 == last {
            break;
        }
    }
    came
}

/// All events. What is handed back is written into the book.
pub(crate) async fn collect(mut events: Events, book: Arc<Mutex<Book>>) -> Vec<ConnectionEvent> {
    let mut all = Vec::new();
    while let Some(event) = events.recv().await {
        match &event {
            ConnectionEvent::Disconnected { .. } => book.lock().unwrap().losses.push(Instant::now()),
            ConnectionEvent::Lost { lost, messages, .. } => {
                assert_eq!(lost.total(), messages.len(), "counted, and not handed back");
                for message in messages.iter() {
                    let id = content::read(&message.payload).expect("whole");
                    let again = book.lock().unwrap().lost.insert(id, (message.reason, Instant::now()));
                    assert!(again.is_none(), "{id:?} was lost twice");
                }
            }
            _ => {}
        }
        all.push(event);
    }
    all
}
