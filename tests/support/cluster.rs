//! Several servers that know each other.

use super::{
    SOON, eventually,
    ports::Ports,
    raw::RawClient,
    server::{Server, ServerBuilder},
};

/// A full mesh of servers on this machine.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    /// Starts `count` servers and waits until each one announces all of them to clients.
    pub(crate) async fn start(count: usize) -> Cluster {
        Cluster::start_as(count, Server::builder()).await
    }

    /// The same, with these configuration lines for each server.
    pub(crate) async fn start_as(count: usize, setup: ServerBuilder) -> Cluster {
        let ports: Vec<Ports> = (0..count).map(|_| Ports::reserve()).collect();
        let routes: Vec<u16> = ports.iter().map(Ports::cluster).collect();
        let mut servers = Vec::new();
        for own in ports {
            let others = routes.iter().copied().filter(|port| *port != own.cluster()).collect();
            servers.push(setup.clone().cluster("lifeline", others).start_on(own).await);
        }
        let cluster = Cluster { servers };
        cluster.complete(count).await;
        cluster
    }

    /// Waits until every living server announces `count` servers to clients.
    pub(crate) async fn complete(&self, count: usize) {
        for server in self.servers.iter().filter(|server| server.running()) {
            eventually("gossip is complete", SOON * 2, async || {
                let info = RawClient::greeting(server.port()).await;
                info["connect_urls"].as_array().is_some_and(|urls| urls.len() == count)
            })
            .await;
        }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// The server with that port.
    pub(crate) fn on_port(&mut self, port: u16) -> &mut Server {
        self.servers.iter_mut().find(|server| server.port() == port).expect("one of ours")
    }
}
