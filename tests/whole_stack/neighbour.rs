//! Another program, at whatever server is there: what it publishes comes over the routes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use tokio::time::sleep;

use crate::carrier::Network;
use crate::content;
use crate::routes::Published;
use crate::users::Book;

/// So long after a client has connected everybody has heard of its subscriptions, where nothing hinders it.
const LATE: Duration = Duration::from_millis(500);

/// Until there is peace.
pub(crate) async fn speak(network: Network, book: Arc<Mutex<Book>>, mut rng: SmallRng) {
    let late = || {
        let cluster = network.cluster.lock().unwrap();
        cluster.conns.iter().any(|conn| conn.since.is_some_and(|since| since.elapsed() >= LATE))
    };
    while !late() && !network.peace.load(Ordering::Relaxed) {
        sleep(LATE / 5).await;
    }
    while !network.peace.load(Ordering::Relaxed) {
        {
            let mut cluster = network.cluster.lock().unwrap();
            if let Some(node) = cluster.knowing().choose(&mut rng).copied() {
                let id = ('y', book.lock().unwrap().said);
                book.lock().unwrap().said += 1;
                let (subject, payload) = (content::subject(id).into_bytes(), content::payload(id, 10).to_vec());
                cluster.publish_at(node, &Arc::new(Published { id, subject, headers: None, payload }));
            }
        }
        sleep(Duration::from_millis(rng.random_range(0..60))).await;
    }
}
