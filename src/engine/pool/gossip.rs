//! Lists of servers: those of the cluster, and the user's new ones.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::seq::SliceRandom;

use super::{MAX_ADVERTISED, MAX_SERVERS, Pool, Server, ServerId, endpoint};
use crate::protocol::ServerAddr;

impl Pool {
    /// Takes in the complete list of the cluster's servers from INFO. Servers that are no longer in it leave the pool, unless
    /// the user named them or they are `current`. An entry that can't be parsed is skipped. Returns what was added and removed,
    /// as `host:port`.
    ///
    /// The list is complete each time; an empty one means nothing.
    pub fn gossip<R: Rng>(
        &mut self,
        urls: &[String],
        seed: &ServerAddr,
        current: Option<ServerId>,
        retain_order: bool,
        rng: &mut R,
    ) -> (Vec<String>, Vec<String>) {
        let advertised = urls.iter().filter_map(|url| ServerAddr::from_gossip(url, seed).ok());
        let mut fresh: Vec<ServerAddr> = advertised.take(MAX_ADVERTISED).collect();
        if fresh.is_empty() {
            return Default::default();
        }
        let advertised: BTreeSet<Place> = fresh.iter().map(place).collect();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let mut known = BTreeSet::new();
        self.servers.retain(|server| {
            let place = place(&server.addr);
            let stays = !server.discovered || Some(server.id) == current || advertised.contains(&place);
            if stays {
                known.insert(place);
            } else {
                removed.push(endpoint(&server.addr));
            }
            stays
        });
        self.banned.retain(|server| !server.discovered || advertised.contains(&place(&server.addr)));
        known.extend(self.banned.iter().map(|server| place(&server.addr)));
        fresh.retain(|addr| known.insert(place(addr)));
        if !retain_order {
            fresh.shuffle(rng);
        }
        for addr in fresh {
            if self.servers.len() < MAX_SERVERS {
                added.push(endpoint(&addr));
                self.add(addr, true);
            }
        }
        (added, removed)
    }

    /// Replaces the user's list. Servers in both lists keep their history; none counts as discovered any more.
    pub fn replace(&mut self, addrs: Vec<ServerAddr>) {
        self.banned.clear();
        let old = std::mem::take(&mut self.servers);
        let mut old: BTreeMap<Place, Server> = old.into_iter().map(|server| (place(&server.addr), server)).collect();
        let mut known = BTreeSet::new();
        for addr in addrs {
            if !known.insert(place(&addr)) {
                continue;
            }
            match old.remove(&place(&addr)) {
                Some(server) => {
                    self.servers.push(Server { addr, discovered: false, failures: 0, ..server });
                }
                None => self.add(addr, false),
            }
        }
    }
}

/// Host and port, which identify a server. Ordered, so that long lists can be compared through sets and not each entry with
/// each.
pub(super) type Place = (String, u16);

pub(super) fn place(addr: &ServerAddr) -> Place {
    (addr.host().to_ascii_lowercase(), addr.port())
}
