//! A real nats-server for one test.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use super::{binary, monitor, ports::Ports, process::Process, raw::RawClient};

/// How long a server may take to start. Usually 50 ms; this is for heavily loaded machines.
const START: Duration = Duration::from_secs(60);

/// How long one process may take before another is started: nats-server has been seen to hang at its start, once in
/// thousands.
const ONE_START: Duration = Duration::from_secs(20);

/// The configuration of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerBuilder {
    lines: Vec<String>,
    cluster: Option<(String, Vec<u16>)>,
    credentials: Option<String>,
    binary: Option<PathBuf>,
    jetstream: bool,
    domain: Option<String>,
}

impl ServerBuilder {
    /// Any line of a nats-server configuration.
    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    pub(crate) fn user_and_password(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some(format!(r#""user":"{user}","pass":"{password}""#));
        self.line(format!("authorization {{ user: \"{user}\", password: \"{password}\" }}"))
    }

    pub(crate) fn token(mut self, token: &str) -> Self {
        self.credentials = Some(format!(r#""auth_token":"{token}""#));
        self.line(format!("authorization {{ token: \"{token}\" }}"))
    }

    /// For a server whose accounts are set by [`ServerBuilder::line`]: the observer's credentials.
    pub(crate) fn observer(mut self, connect_fields: &str) -> Self {
        self.credentials = Some(connect_fields.to_owned());
        self
    }

    pub(crate) fn max_payload(self, bytes: usize) -> Self {
        self.line(format!("max_payload: {bytes}"))
    }

    pub(crate) fn max_control_line(self, bytes: usize) -> Self {
        self.line(format!("max_control_line: {bytes}"))
    }

    pub(crate) fn max_connections(self, count: usize) -> Self {
        self.line(format!("max_connections: {count}"))
    }

    pub(crate) fn ping_interval(self, interval: Duration) -> Self {
        self.line(format!("ping_interval: \"{}ms\"", interval.as_millis()))
    }

    pub(crate) fn no_header_support(self) -> Self {
        self.line("no_header_support: true")
    }

    /// How long a lame duck waits before it disconnects the first client, and the time in which it disconnects all of
    /// them.
    pub(crate) fn lame_duck(self, grace: Duration, duration: Duration) -> Self {
        self.line(format!("lame_duck_grace_period: \"{}s\"", grace.as_secs()))
            .line(format!("lame_duck_duration: \"{}s\"", duration.as_secs()))
    }

    /// Joins the cluster whose other members listen for routes on these ports.
    pub(crate) fn cluster(mut self, name: &str, routes: Vec<u16>) -> Self {
        self.cluster = Some((name.to_owned(), routes));
        self
    }

    /// With JetStream, whose files are in the server's folder.
    pub(crate) fn jetstream(mut self) -> Self {
        self.jetstream = true;
        self
    }

    /// With JetStream in a domain of this name.
    pub(crate) fn jetstream_domain(mut self, name: &str) -> Self {
        self.domain = Some(name.to_owned());
        self.jetstream()
    }

    /// A nats-server other than the default one.
    pub(crate) fn binary(mut self, binary: &Path) -> Self {
        self.binary = Some(binary.to_path_buf());
        self
    }

    pub(crate) async fn start(self) -> Server {
        self.start_on(Ports::reserve()).await
    }

    /// Starts on ports that were reserved earlier, because others had to know them first.
    pub(crate) async fn start_on(self, ports: Ports) -> Server {
        let mut server = Server::prepare(self, ports);
        server.launch().await;
        server.leave_no_trace().await;
        server
    }
}

/// A running, stopped or dead nats-server. Dropping it kills it and removes its folder.
pub(crate) struct Server {
    setup: ServerBuilder,
    ports: Ports,
    folder: PathBuf,
    process: Option<Process>,
}

impl Server {
    /// A server with the default configuration.
    pub(crate) async fn start() -> Server {
        Server::builder().start().await
    }

    pub(crate) fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// `host:port`, as in gossip.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports.client()
    }

    pub(crate) fn running(&self) -> bool {
        self.process.as_ref().is_some_and(Process::running)
    }

    pub(crate) fn cluster_port(&self) -> u16 {
        self.ports.cluster()
    }

    /// A new observer on this server.
    pub(crate) async fn raw(&self) -> RawClient {
        RawClient::connect_with(self.port(), self.setup.credentials.as_deref().unwrap_or_default()).await
    }

    /// SIGKILL: ends immediately, without a message to clients.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        self.process.as_mut().expect("started").wait();
    }

    /// SIGTERM, and waits until it has ended.
    pub(crate) async fn terminate(&mut self) {
        self.signal("TERM");
        self.ended().await;
    }

    /// Waits until the server has ended, by itself or by a signal.
    pub(crate) async fn ended(&mut self) {
        let mut process = self.process.take().expect("started");
        let waiting = tokio::task::spawn_blocking(move || {
            process.wait();
            process
        });
        self.process = Some(waiting.await.expect("waiting does not panic"));
    }

    /// SIGSTOP: the process stops, but its kernel still accepts connections and bytes.
    pub(crate) fn stop(&mut self) {
        self.signal("STOP");
        self.process.as_ref().expect("started").stopped();
    }

    /// SIGCONT.
    pub(crate) fn cont(&mut self) {
        self.signal("CONT");
    }

    /// SIGUSR2: lame duck mode.
    pub(crate) fn lame_duck(&mut self) {
        self.signal("USR2");
    }

    pub(crate) fn signal(&mut self, name: &str) {
        self.process.as_mut().expect("started").signal(name);
    }

    /// Starts a dead server again, on the same ports.
    pub(crate) async fn restart(&mut self) {
        let process = self.process.take().expect("started");
        assert!(!process.running(), "end the server before restarting it");
        process.leave();
        self.launch().await;
    }

    /// The same, with other configuration lines.
    pub(crate) async fn restart_as(&mut self, setup: ServerBuilder) {
        self.setup = setup;
        self.restart().await;
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub(crate) fn monitor_port(&self) -> u16 {
        self.ports.monitor()
    }

    /// The server's client connections, in order of arrival.
    pub(crate) fn connections(&self) -> Vec<monitor::Connection> {
        monitor::connections(self.ports.monitor()).expect("the monitoring port answers")
    }

    /// The connection of the client with that name.
    pub(crate) fn connection(&self, name: &str) -> Option<monitor::Connection> {
        monitor::connections(self.ports.monitor())?.into_iter().find(|connection| connection.name == name)
    }

    /// All subscriptions of the server's clients.
    pub(crate) fn subscriptions(&self) -> Vec<monitor::Subscription> {
        self.connections().into_iter().flat_map(|connection| connection.subscriptions).collect()
    }

    fn prepare(setup: ServerBuilder, ports: Ports) -> Server {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("server-{}-{number}-{}", std::process::id(), ports.client());
        let folder = binary::scratch().join(name);
        fs::create_dir_all(&folder).expect("target/tmp can be written");
        Server { setup, ports, folder, process: None }
    }

    /// Starts the process until it is ready: again if a port is in use or the process hangs.
    async fn launch(&mut self) {
        fs::write(self.folder.join("config"), self.configuration()).expect("target/tmp can be written");
        let start = Instant::now();
        loop {
            let said = self.log().len();
            let program = self.setup.binary.as_deref().unwrap_or_else(|| binary::nats_server());
            let config = self.folder.join("config");
            let mut process = Process::start(&self.folder, program, &[OsStr::new("-c"), config.as_os_str()]);
            let began = Instant::now();
            let ready = loop {
                let log = self.log();
                let news = log.get(said..).unwrap_or_default();
                if news.contains("Server is ready") {
                    break true;
                }
                // A process that ended has its reason in the log, or on standard error for an invalid configuration.
                let failed =
                    news.contains("[FTL]") || fs::metadata(self.folder.join("stderr")).is_ok_and(|file| file.len() > 0);
                if failed {
                    break false;
                }
                let state = process.state();
                assert!(start.elapsed() < START, "nats-server does not get ready, state {state}:\n{log}");
                if began.elapsed() > ONE_START {
                    eprintln!("nats-server hangs at its start, state {state}:\n{log}");
                    break false;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            if ready {
                self.process = Some(process);
                return;
            }
            let hangs = began.elapsed() > ONE_START;
            if hangs {
                process.signal("KILL");
            }
            process.wait();
            process.leave();
            let log = self.log();
            let port_in_use = log.get(said..).is_some_and(|news| news.contains("address already in use"));
            let complaint = fs::read_to_string(self.folder.join("stderr")).unwrap_or_default();
            let again = (port_in_use || hangs) && start.elapsed() < START;
            assert!(again, "nats-server does not start:\n{log}\n{complaint}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the server's INFO, and leaves no connection that a test could count.
    async fn leave_no_trace(&self) {
        if self.setup.lines.iter().any(|line| line.contains("handshake_first: true")) {
            // It sends no INFO.
            return;
        }
        let greeting = TcpStream::connect(("127.0.0.1", self.port())).and_then(|stream| {
            stream.set_read_timeout(Some(START))?;
            let port = stream.local_addr()?.port();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line)?;
            Ok((line, u64::from(port)))
        });
        let (greeting, port) = greeting.expect("a ready server accepts");
        // A server with TLS first, or without a free connection, does not send a usual INFO.
        assert!(greeting.starts_with("INFO {") || greeting.is_empty(), "no greeting: {greeting}");
        // A client that was waiting for this server may be connected by now.
        super::eventually("the greeted connection is gone", START, async || {
            monitor::connections(self.ports.monitor())
                .is_some_and(|connections| connections.iter().all(|connection| connection.port != port))
        })
        .await;
    }

    fn configuration(&self) -> String {
        let mut text = format!(
            "server_name: \"n{}\"\nlisten: \"127.0.0.1:{}\"\nhttp: \"127.0.0.1:{}\"\nlog_file: \"{}\"\ndebug: true\n",
            self.port(),
            self.port(),
            self.ports.monitor(),
            self.folder.join("log").display(),
        );
        if self.setup.jetstream {
            let domain = self.setup.domain.as_ref().map(|name| format!(", domain: \"{name}\"")).unwrap_or_default();
            let store = self.folder.join("store");
            let _ = writeln!(text, "jetstream {{ store_dir: \"{}\"{domain} }}", store.display());
        }
        if let Some((name, routes)) = &self.setup.cluster {
            let routes: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
            let _ = writeln!(
                text,
                "cluster {{ name: \"{name}\", listen: \"127.0.0.1:{}\", routes: [{}] }}",
                self.ports.cluster(),
                routes.join(", ")
            );
        }
        for line in &self.setup.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- the last lines of nats-server {}:", self.port());
            tail.into_iter().rev().for_each(|line| eprintln!("{line}"));
        }
        // The watchdog kills the server and removes the folder; without a watchdog, this does.
        drop(self.process.take());
        let _ = fs::remove_dir_all(&self.folder);
    }
}
