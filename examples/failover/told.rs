//! What the client tells about its connection: losses, and how soon another was there.

use std::time::Duration;

use nats_lifeline::connection::{ConnectionEvent, Events};

pub(crate) struct Told {
    events: Events,
    /// What happened since the last line.
    pub(crate) news: Vec<News>,
    /// From a loss to the next connection, with every held message on its way.
    pub(crate) downtimes: Vec<Duration>,
    pub(crate) in_doubt: u64,
}

pub(crate) enum News {
    Lost { in_doubt: u64 },
    Back { server: String, downtime: Duration },
}

impl Told {
    pub(crate) fn new(events: Events) -> Told {
        Told { events, news: Vec::new(), downtimes: Vec::new(), in_doubt: 0 }
    }

    /// Takes in what was told since.
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
