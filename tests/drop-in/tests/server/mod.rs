//! A nats-server for one test, found in the same way as by the client's own tests.

#![allow(dead_code, unused_imports)]

#[path = "../../../support/binary.rs"]
mod binary;
#[path = "../../../support/process.rs"]
mod process;

use std::ffi::OsStr;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use async_nats::Event;
pub(crate) use binary::scratch;
use process::Process;

/// How long an immediate action may take on a heavily loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A nats-server; dropping it kills it.
pub(crate) struct Server {
    config: String,
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Server {
    /// A server with these configuration lines.
    pub(crate) fn start(config: &str) -> Server {
        Server::start_on(0, config)
    }

    /// A server with JetStream on this port, unless it is 0.
    pub(crate) fn start_jetstream_on(port: u16) -> Server {
        let mut server = Server::new(port);
        server.config = format!("jetstream {{ store_dir: \"{}\" }}", server.folder.join("jetstream").display());
        server.launch();
        server
    }

    /// The same as `start` on this port, unless it is 0.
    pub(crate) fn start_on(port: u16, config: &str) -> Server {
        let mut server = Server::new(port);
        config.clone_into(&mut server.config);
        server.launch();
        server
    }

    fn new(port: u16) -> Server {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("drop-in-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = scratch().join(name);
        Server { config: String::new(), folder, port, process: None }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Like `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal("KILL");
        process.wait();
    }

    /// Restarts it on its port.
    pub(crate) fn restart(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
        self.launch();
    }

    pub(crate) fn lame_duck(&mut self) {
        self.process.as_mut().expect("it runs").signal("USR2");
    }

    /// The first time on a free port, which the server writes to a file; later on the same one.
    fn launch(&mut self) {
        fs::create_dir_all(&self.folder).expect("target/tmp can be written");
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let folder = self.folder.display();
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: \"{folder}\"\nlog_file: \"{folder}/log\"\n{}\n",
            self.config
        );
        let file = self.folder.join("config");
        fs::write(&file, config).expect("target/tmp can be written");
        let process = Process::start(&self.folder, binary::nats_server(), &[OsStr::new("-c"), file.as_os_str()]);
        let ports = self.folder.join(format!("nats-server_{}.ports", process.pid()));
        let start = Instant::now();
        self.port = loop {
            let text = fs::read_to_string(&ports).unwrap_or_default();
            let digits = text.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next());
            if let Some(port) = digits.and_then(|digits| digits.parse().ok()) {
                break port;
            }
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(start.elapsed() < SOON, "nats-server does not get ready:\n{}", log());
            thread::sleep(Duration::from_millis(5));
        };
        self.process = Some(process);
    }
}

/// The output of a future that must be ready soon; a hang becomes a named failure.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {SOON:?}: {what}"),
    }
}

/// The events that an event callback received.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    /// For `event_callback`.
    pub(crate) fn callback(&self) -> impl Fn(Event) -> std::future::Ready<()> + Send + Sync + 'static {
        let told = Arc::clone(&self.0);
        move |event| {
            told.lock().expect("nobody panics with it").push(event);
            std::future::ready(())
        }
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().expect("nobody panics with it").clone()
    }

    /// Waits until this event has occurred that often.
    pub(crate) async fn times(&self, event: &Event, times: usize) {
        soon(&format!("{event}, {times} times; told was {:?}", self.all()), async {
            while self.all().iter().filter(|told| *told == event).count() < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}
