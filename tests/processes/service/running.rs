//! The example `service` in its own process: started, asked over HTTP, signalled, and read at its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::built::built;
use crate::support::process::no_fork;
use crate::support::{SOON, Server, soon, within};

/// The name of the client in the server's monitoring: the program and the host.
const CLIENT: &str = "service@web-1";

/// Much longer than a probe takes.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("service"))
}

/// Starts it with this environment and no other.
fn spawn(vars: &[(&str, &str)], flags: &[&str]) -> Child {
    let program = program();
    let forking = no_fork();
    let child = Command::new(program)
        .args(flags)
        .env_clear()
        .envs(vars.iter().copied())
        .env("HOSTNAME", "web-1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    drop(forking);
    child
}

/// The exit code and the output of a service that does not start.
pub(crate) async fn refused(vars: &[(&str, &str)], flags: &[&str]) -> (Option<i32>, String) {
    let output = soon("the end", spawn(vars, flags).wait_with_output()).await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A running service.
pub(crate) struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    log: JoinHandle<String>,
    address: String,
}

impl Service {
    pub(crate) async fn start(vars: &[(&str, &str)], flags: &[&str]) -> Service {
        let mut child = spawn(vars, &[&["--listen", "127.0.0.1:0"], flags].concat());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut errors = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut log = String::new();
            let _ = errors.read_to_string(&mut log).await;
            log
        });
        let first = soon("the service's first line", lines.next_line()).await.unwrap();
        let Some(address) = first.as_deref().and_then(|line| line.strip_prefix("listening on http://")) else {
            panic!("the service does not start: {first:?}\n{}", log.await.unwrap());
        };
        Service { address: address.to_owned(), child, lines, log }
    }

    /// The code and the body of the answer to a GET; `None` if nobody answers.
    pub(crate) async fn get(&self, path: &str) -> Option<(u16, String)> {
        let asking = async {
            let mut stream = TcpStream::connect(&self.address).await.ok()?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            let code = head.split(' ').nth(1)?.parse().ok()?;
            (body.len().to_string() == length).then(|| (code, body.to_owned()))
        };
        timeout(ANSWER_WITHIN, asking).await.ok().flatten()
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        let (code, text) = self.get("/metrics").await.expect("the service answers");
        assert_eq!(code, 200, "{text}");
        Metrics::new(&text)
    }

    /// The last metrics that it gives before it ends.
    pub(crate) async fn last_metrics(&mut self) -> Metrics {
        let mut last = None;
        let reading = async {
            while self.child.try_wait().unwrap().is_none() {
                if let Some((200, text)) = self.get("/metrics").await {
                    last = Some(text);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("the service ends after its last figures were read", 6 * SOON, reading).await;
        Metrics::new(&last.expect("the service gave metrics"))
    }

    /// How many messages the server has sent to it.
    pub(crate) fn received(&self, server: &Server) -> u64 {
        server.connection(CLIENT).map_or(0, |connection| connection.out_messages)
    }

    /// Sends a signal by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        // Its pid is its own until it is waited for.
        let pid = self.child.id().expect("it was not waited for").to_string();
        let forking = no_fork();
        let sent = std::process::Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid]).status();
        drop(forking);
        assert!(sent.unwrap().success(), "no process {pid} for {name}");
    }

    /// Waits until the process has ended, by itself or by a signal.
    pub(crate) async fn ended(&mut self) -> Ended {
        let mut output = String::new();
        while let Some(line) = within("the end of the output", 6 * SOON, self.lines.next_line()).await.unwrap() {
            output.push_str(&line);
            output.push('\n');
        }
        let status = soon("the service's end", self.child.wait()).await.unwrap();
        let log = (&mut self.log).await.unwrap();
        Ended { code: status.code(), output, log }
    }
}

/// What a service has left.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Standard output after the first line.
    pub(crate) output: String,
    /// Standard error.
    log: String,
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {:?}\n{}\n{}", self.code, self.output, self.log)
    }
}

impl Ended {
    /// A number of the final summary.
    pub(crate) fn account(&self, what: &str) -> u64 {
        let mut numbers = self.output.lines().filter_map(|line| line.trim().strip_prefix(what));
        let number = numbers.next().and_then(|rest| rest.trim().parse().ok());
        number.unwrap_or_else(|| panic!("{what:?} is missing in the account: {self:?}"))
    }
}

/// Metrics in Prometheus's text format.
pub(crate) struct Metrics {
    /// By name, with and without the labels; without them, the sum over all.
    sums: BTreeMap<String, f64>,
    text: String,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Metrics {
    pub(crate) fn new(text: &str) -> Metrics {
        let mut sums = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line:?}"));
            let value: f64 = value.parse().unwrap_or_else(|error| panic!("{line:?}: {error}"));
            *sums.entry(series.to_owned()).or_default() += value;
            if let Some((name, _)) = series.split_once('{') {
                *sums.entry(name.to_owned()).or_default() += value;
            }
        }
        Metrics { sums, text: text.to_owned() }
    }

    /// The value of a series, or the sum of a metric over all labels; 0 if there is none.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        self.sums.get(name).copied().unwrap_or_default() as u64
    }
}
