//! The order in which the publisher sends messages, as the proxy reads them from its connections.
//!
//! The order of arrival does not show it: a server may process the last bytes of a connection when the next one already
//! exists.

use std::sync::{Arc, Mutex};

use nats_lifeline::protocol::{ClientOp, Decoded, Decoder, Limits};

use super::letter::Letter;
use super::load::lock;
use crate::support::Watch;

/// All connections, in the order in which they were accepted.
#[derive(Clone, Default)]
pub(crate) struct Leaving {
    connections: Arc<Mutex<Vec<Connection>>>,
}

/// The messages of one connection.
#[derive(Debug, Default)]
struct Connection {
    /// The first and the highest number of each sender.
    carried: Vec<Option<(u64, u64)>>,
    disordered: u64,
}

impl Leaving {
    /// Readers for the proxy.
    pub(crate) fn watch(&self) -> Watch {
        let leaving = self.clone();
        Arc::new(move || Box::new(leaving.reader()))
    }

    fn reader(&self) -> impl FnMut(&[u8]) + Send + use<> {
        let connections = self.connections.clone();
        let index = lock(&connections).len();
        lock(&connections).push(Connection::default());
        let (mut decoder, mut buffer) = (Decoder::new(Limits::default()), Vec::new());
        move |bytes: &[u8]| {
            buffer.extend_from_slice(bytes);
            let mut read = 0;
            while let Ok(Decoded::Op { op, len }) = decoder.decode_client(&buffer[read..]) {
                if let ClientOp::Pub(publish) = op {
                    if let Some((letter, _)) = Letter::read(publish.payload) {
                        lock(&connections)[index].note(letter);
                    }
                }
                read += len;
            }
            buffer.drain(..read);
        }
    }

    /// How often a message was sent after a later one. At most once, over all connections; otherwise each new
    /// connection may start again.
    pub(crate) fn disordered(&self, at_most_once: bool) -> u64 {
        let connections = lock(&self.connections);
        let mut disordered = connections.iter().map(|connection| connection.disordered).sum();
        let mut highest: Vec<Option<u64>> = Vec::new();
        for connection in connections.iter().filter(|_| at_most_once) {
            highest.resize(highest.len().max(connection.carried.len()), None);
            for (before, carried) in highest.iter_mut().zip(&connection.carried) {
                let Some((first, last)) = *carried else { continue };
                disordered += u64::from(before.is_some_and(|before| first <= before));
                *before = Some(before.unwrap_or_default().max(last));
            }
        }
        disordered
    }
}

impl Connection {
    fn note(&mut self, letter: Letter) {
        let from = letter.from as usize;
        self.carried.resize(self.carried.len().max(from + 1), None);
        let carried = &mut self.carried[from];
        match carried {
            Some((_, highest)) if letter.number <= *highest => self.disordered += 1,
            Some((_, highest)) => *highest = letter.number,
            None => *carried = Some((letter.number, letter.number)),
        }
    }
}
