//! A client's events about its connection: losses, and the time to the next connection.

use std::time::Duration;

use nats_lifeline::connection::{ConnectionEvent, Events};

pub(crate) struct ClientLog {
    events: Events,
    /// Events since the last line.
    pub(crate) news: Vec<News>,
    /// From a loss to the next connection, after which buffered messages are on their way.
    pub(crate) downtimes: Vec<Duration>,
    pub(crate) in_doubt: u64,
}

pub(crate) enum News {
    Lost { in_doubt: u64 },
    Back { server: String, downtime: Duration },
}

impl ClientLog {
    pub(crate) fn new(events: Events) -> ClientLog {
        ClientLog { events, news: Vec::new(), downtimes: Vec::new(), in_doubt: 0 }
    }

    /// Reads the events since the last call.
    pub(crate) fn listen(&mut self) {
        while let Some(event) = self.events.try_recv() {
            match event {
                ConnectionEvent::Disconnected { in_doubt, .. } => {
                    self.in_doubt += in_doubt;
                    self.news.push(News::Lost { in_doubt });
                }
                ConnectionEvent::Reconnected { server, downtime, .. } => {
                    self.downtimes.push(downtime);
                    self.news.push(News::Back { server, downtime });
                }
                _ => {}
            }
        }
    }
}
