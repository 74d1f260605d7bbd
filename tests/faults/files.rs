//! Faults B1 and B4: files that hang, vanish, or begin with a byte order mark.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nats_lifeline::ConnectOptions;
use nats_lifeline::connection::ConnectionEvent;

use crate::support::jwt::Operator;
use crate::support::{Authority, SOON, Server, Timeline, soon};

/// A path whose file is removed on drop.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fault-{}-{number}-{name}", std::process::id()));
        Place(path)
    }

    fn with(name: &str, content: &str) -> Place {
        let place = Place::new(name);
        fs::write(&place.0, content).unwrap();
        place
    }

    /// Makes a pipe there: opening it blocks until there is a writer.
    fn pipe(self) -> Place {
        let _ = fs::remove_file(&self.0);
        assert!(Command::new("mkfifo").arg(&self.0).status().unwrap().success());
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The number of this process's threads with that name, where available.
fn threads(name: &str) -> usize {
    if !cfg!(target_os = "linux") {
        return 0;
    }
    let names = fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
        let path = task.ok()?.path().join("comm");
        fs::read_to_string(path).ok()
    });
    names.filter(|found| found.trim_end() == name).count()
}

/// Ticks while the runtime runs; the longest time between two ticks shows how long it was blocked.
struct Pulse(tokio::task::JoinHandle<Duration>, tokio::sync::oneshot::Sender<()>);

impl Pulse {
    fn start() -> Pulse {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let pulse = tokio::spawn(async move {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while stopped.try_recv().is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            longest
        });
        Pulse(pulse, stop)
    }

    async fn longest_pause(self) -> Duration {
        let _ = self.1.send(());
        self.0.await.unwrap()
    }
}

// Fault B1: in every test, credentials files could be read immediately. A rule of architecture.rs now keeps file reads
// off the runtime.
#[tokio::test(flavor = "current_thread")]
async fn credentials_files_that_hang_are_an_error_in_time_and_cost_one_thread() {
    let pipe = Place::new("never.creds").pipe();
    let pulse = Pulse::start();
    let limit = Duration::from_millis(300);
    for _ in 0..20 {
        let options = ConnectOptions::new().connection_timeout(limit);
        let error = soon("an end", options.credentials_file(&pipe.0)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(error.to_string().contains("never.creds"), "{error}");
    }
    let pause = pulse.longest_pause().await;
    assert!(pause < SOON, "the runtime stood still for {pause:?}");
    // Tests that run at the same time have one each.
    assert!(threads("nats-creds-file") <= 5, "{} threads wait for one file", threads("nats-creds-file"));
    // The thread ends when the pipe has content.
    fs::write(&pipe.0, "nothing").unwrap();
}

// Fault B1: a pipe can be read only once, like the shell's `<(…)`; a mount may hang later.
#[tokio::test(flavor = "current_thread")]
async fn credentials_that_can_be_read_only_once_are_kept() {
    let operator = Operator::new();
    let mut server = operator.server(&[]).start().await;
    let pipe = Place::new("once.creds").pipe();
    let (path, creds) = (pipe.0.clone(), operator.user(None).creds());
    let writer = std::thread::spawn(move || fs::write(path, creds).unwrap());
    let options = ConnectOptions::with_credentials_file(&pipe.0).await.unwrap();
    writer.join().unwrap();
    let pulse = Pulse::start();
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    for round in 0..2 {
        server.kill();
        server.restart().await;
        timeline.reconnected(round).await;
        soon("a flush", client.flush()).await.unwrap();
    }
    let failed = |event: &ConnectionEvent| matches!(event, ConnectionEvent::AttemptFailed { cause, .. } if cause.to_string().contains("creds"));
    assert_eq!(timeline.count(failed), 0, "{:#?}", timeline.all());
    let pause = pulse.longest_pause().await;
    assert!(pause < SOON, "the runtime stood still for {pause:?}");
    assert!(threads("nats-creds-file") <= 5);
    fs::write(&pipe.0, "nothing").unwrap();
}

// Fault B1: an editor or a tool empties a file before writing it, and some remove it first.
#[tokio::test]
async fn the_last_good_credentials_are_used_while_the_file_is_gone_or_incomplete() {
    let operator = Operator::new();
    let mut server = operator.server(&[]).start().await;
    let (first, second) = (operator.user(None), operator.user(None));
    let file = Place::with("renewed.creds", &first.creds());
    let options = ConnectOptions::with_credentials_file(&file.0).await.unwrap();
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    for (round, content) in [None, Some(""), Some(&first.creds()[..40])].into_iter().enumerate() {
        match content {
            None => fs::remove_file(&file.0).unwrap(),
            Some(content) => fs::write(&file.0, content).unwrap(),
        }
        server.kill();
        server.restart().await;
        timeline.reconnected(round).await;
        soon("a flush", client.flush()).await.unwrap();
    }
    // A renewed file is used: the server no longer accepts the first user.
    fs::write(&file.0, second.creds()).unwrap();
    server.kill();
    server.restart_as(operator.server(&[first.key.public()])).await;
    timeline.reconnected(3).await;
    soon("a flush", client.flush()).await.unwrap();
}

// Fault B1, TLS: the same for certificates, which are first read when a server is dialled.
#[cfg(feature = "ring")]
#[tokio::test(flavor = "current_thread")]
async fn certificate_files_that_hang_are_an_error_at_first_and_later_the_last_good_content_is_used() {
    let authority = Authority::new();
    let mut server = Server::builder().line(authority.server(&["localhost"]).tls("")).start().await;
    let url = format!("tls://localhost:{}", server.port());

    let never = Place::new("never.pem").pipe();
    let pulse = Pulse::start();
    for _ in 0..10 {
        let options = ConnectOptions::new().connection_timeout(Duration::from_millis(300));
        let options = options.add_root_certificates(never.0.clone());
        let error = soon("an end", options.connect(&url)).await.unwrap_err();
        assert_eq!(error.kind(), nats_lifeline::ConnectErrorKind::TimedOut, "{error}");
    }
    let pause = pulse.longest_pause().await;
    assert!(pause < SOON, "the runtime stood still for {pause:?}");
    assert!(threads("nats-tls-files") <= 5, "{} threads wait for one file", threads("nats-tls-files"));
    fs::write(&never.0, "nothing").unwrap();

    let roots = Place::with("roots.pem", &fs::read_to_string(authority.certificate()).unwrap());
    let options = ConnectOptions::new().add_root_certificates(roots.0.clone());
    let client = soon("a connection", options.connect(&url)).await.unwrap();
    let timeline = Timeline::of(&client);
    let roots = roots.pipe();
    server.kill();
    server.restart().await;
    timeline.reconnected(0).await;
    soon("a flush", client.flush()).await.unwrap();
    fs::write(&roots.0, "nothing").unwrap();
}

// Fault B4: all fixtures were written by our own tools, never by an editor on Windows.
#[cfg(feature = "ring")]
#[tokio::test]
async fn files_may_begin_with_a_byte_order_mark() {
    let marked = |content: &str| format!("\u{feff}{}", content.replace('\n', "\r\n"));
    let operator = Operator::new();
    let server = operator.server(&[]).start().await;
    let creds = operator.user(None).creds();
    let file = Place::with("marked.creds", &marked(&creds));
    let options = ConnectOptions::with_credentials_file(&file.0).await.unwrap();
    soon("a connection", options.connect(server.url())).await.unwrap();
    let options = ConnectOptions::with_credentials(&marked(&creds)).unwrap();
    soon("a connection", options.connect(server.url())).await.unwrap();

    let (authority, other) = (Authority::new(), Authority::new());
    let ca = authority.certificate();
    let more = format!("ca_file: \"{}\", verify: true", ca.display());
    let server = Server::builder().line(authority.server(&["localhost"]).tls(&more)).start().await;
    let own = authority.client("derek");
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    // Two concatenated files, each with its mark.
    let bundle = format!("{}\r\n{}", marked(&read(&other.certificate())), marked(&read(&ca)));
    let [bundle, chain, key] =
        [("bundle", bundle), ("chain", marked(&read(&own.certificate))), ("key", marked(&read(&own.key)))]
            .map(|(name, content)| Place::with(name, &content));
    let options = ConnectOptions::new()
        .add_root_certificates(bundle.0.clone())
        .add_client_certificate(chain.0.clone(), key.0.clone());
    let client = soon("a connection", options.connect(format!("tls://localhost:{}", server.port()))).await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
}
