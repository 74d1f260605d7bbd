//! Starting and stopping: opening the port, accepting connections, closing both.

use super::connection::Close;
use super::greeting::{announce, say_info};
use super::hosting;
use super::housekeeping;
use super::lock;
use super::node::{Door, Node, patiently, random, reserve};
use super::reading::Reading;
use super::session::Ending;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::sleep;

impl Node {
    /// Opens the port and starts work.
    pub(super) async fn start(self: &Arc<Self>) -> io::Result<()> {
        *lock(&self.server_id) = format!("LIFELINE{:016X}{:016X}", random(), random());
        self.lame_duck.store(false, Ordering::Release);
        // The first broker of all that comes up: whatever was in the memory of a server is gone.
        if !self.fabric.members().iter().any(|member| member.is_up()) {
            self.fabric.host.restart(&self.shared.settings.server_name(self.addr.port()));
        }
        self.up.store(true, Ordering::Release);
        if let Err(error) = patiently(|| self.open()).await {
            self.up.store(false, Ordering::Release);
            return Err(error);
        }
        let housekeeping = housekeeping::run(Arc::clone(self));
        self.spawn_until_stop(housekeeping);
        if self.fabric.host.on {
            self.spawn_until_stop(hosting::run(Arc::clone(self)));
        }
        announce(&self.fabric);
        Ok(())
    }

    /// Stops everything: the port, the connections and the tasks.
    pub(super) fn stop(&self, how: Close) {
        let was_up = self.up.swap(false, Ordering::AcqRel);
        self.close_door(&mut lock(&self.door));
        self.connections.close(how);
        if was_up {
            announce(&self.fabric);
        }
        let tasks = std::mem::take(&mut lock(&self.door).tasks);
        for task in tasks {
            task.abort();
        }
    }

    pub(super) fn refuse(self: &Arc<Self>, on: bool) {
        let mut door = lock(&self.door);
        door.refusing = on;
        if on {
            self.close_door(&mut door);
            return;
        }
        drop(door);
        if self.open().is_err() {
            let node = Arc::clone(self);
            self.spawn_until_stop(async move {
                // If that fails, the test finds that nothing listens.
                let _ = patiently(|| node.open()).await;
            });
        }
    }

    pub(super) fn lame_duck(self: &Arc<Self>) {
        if !self.is_up() || self.lame_duck.swap(true, Ordering::AcqRel) {
            return;
        }
        self.close_door(&mut lock(&self.door));
        announce(&self.fabric);
        let node = Arc::clone(self);
        self.spawn_until_stop(async move {
            sleep(node.shared.settings.lame_duck_grace).await;
            for connection in node.connections.list() {
                connection.close(Close::Plain);
                // nats-server spreads them over minutes; a test has no use for that.
                sleep(Duration::from_millis(5)).await;
            }
            node.stop(Close::Plain);
        });
    }

    fn spawn_until_stop(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.runtime.spawn(task).abort_handle();
        let mut door = lock(&self.door);
        door.tasks.retain(|task| !task.is_finished());
        door.tasks.push(task);
    }

    /// Opens the port, unless it is open or must be closed.
    fn open(self: &Arc<Self>) -> io::Result<()> {
        let mut door = lock(&self.door);
        if door.listener.is_some() || door.refusing || !self.is_up() || self.is_lame_duck() {
            return Ok(());
        }
        let socket = match door.reserved.take() {
            Some(socket) => socket,
            None => reserve(self.addr)?,
        };
        let _runtime = self.runtime.enter();
        door.listener = Some(socket.listen(1024)?);
        let epoch = door.epoch;
        drop(door);
        self.spawn_until_stop(Arc::clone(self).accept(epoch));
        Ok(())
    }

    fn close_door(&self, door: &mut Door) {
        door.epoch += 1;
        if door.listener.take().is_some() {
            // If another process is faster, opening the port is retried.
            door.reserved = reserve(self.addr).ok();
        }
    }

    async fn accept(self: Arc<Self>, epoch: u64) {
        loop {
            self.shared.faults.while_set(&self.shared.faults.no_accept).await;
            let accepted = poll_fn(|cx| {
                let door = lock(&self.door);
                match &door.listener {
                    Some(listener) if door.epoch == epoch => listener.poll_accept(cx).map(Some),
                    _ => Poll::Ready(None),
                }
            });
            match accepted.await {
                None => return,
                Some(Ok((socket, peer))) => {
                    self.shared.faults.while_set(&self.shared.faults.no_accept).await;
                    self.welcome(socket, peer, epoch);
                }
                // Most likely no descriptor is left. Some will be free again.
                Some(Err(_)) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn welcome(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, epoch: u64) {
        // If it can't be set, small frames are delayed, and that is all.
        let _ = socket.set_nodelay(true);
        // Under this lock, so that nothing is counted or added after the port is closed: the task that
        // closes it must find every connection that came through it.
        let door = lock(&self.door);
        if door.epoch != epoch {
            return;
        }
        self.shared.counters.count_accepted();
        if self.shared.faults.close_on_accept.load(Ordering::Acquire) {
            return;
        }
        let (connection, before) = self.connections.add(socket, peer);
        let full = before >= self.shared.max_connections.load(Ordering::Acquire);
        drop(door);
        self.shared.changed.notify_waiters();
        let writer = self.runtime.spawn(Arc::clone(&connection).write_out());
        connection.own(writer.abort_handle());
        connection.say(|out| say_info(out, self, &connection, false));
        if full {
            connection.finish(Ending::Says("maximum connections exceeded"));
        } else if self.shared.faults.close_after_info.load(Ordering::Acquire) {
            connection.finish(Ending::Silent);
        } else {
            let reading = Reading::new(Arc::clone(self), Arc::clone(&connection));
            connection.own(self.runtime.spawn(reading.run()).abort_handle());
        }
    }
}
