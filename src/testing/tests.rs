//! What users of the broker can't see: that the router forgets what has ended.

use super::Broker;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Other tasks close connections while these subscribe: a SUB must not be added to the router after its connection was removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_subscription_outlives_its_connection() -> io::Result<()> {
    let broker = Broker::start().await?;
    let many: String = (1..=50).map(|sid| format!("SUB a {sid}\r\n")).collect();
    for _ in 0..200 {
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(TcpStream::connect(broker.addr()).await?);
        }
        for client in &mut clients {
            client.write_all(many.as_bytes()).await?;
        }
        // Some of them at the first SUB, some in the middle.
        tokio::task::yield_now().await;
        broker.disconnect_all();
    }
    broker.disconnect_all();
    let router = &broker.node.fabric.router;
    let is_empty = |_: &Broker| router.find(b"a").plain.is_empty();
    broker.wait_until("router without subscriptions", is_empty).await.map_err(io::Error::other)?;
    assert_eq!(broker.subscription_count(), 0);
    Ok(())
}
