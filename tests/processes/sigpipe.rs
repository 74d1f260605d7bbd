//! A dead socket must cause an error, never a signal, even in a process whose SIGPIPE is at its default (D5).

use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

const ROLE: &str = "NATS_LIFELINE_SIGPIPE_ROLE";
const SIGPIPE: i32 = 13;

/// Runs the test `child` of this binary in its own process.
fn run(role: &str) -> ExitStatus {
    let own = std::env::current_exe().unwrap();
    Command::new(own).args(["--exact", "sigpipe::child", "--ignored", "--nocapture"]).env(ROLE, role).status().unwrap()
}

#[test]
#[ignore = "only for the tests that start it"]
fn child() {
    sigpipe::reset();
    match std::env::var(ROLE).as_deref() {
        Ok("plain write") => write_to_a_dead_socket(),
        Ok("client") => publish(nats_lifeline::ConnectOptions::new(), greet_in_clear),
        #[cfg(feature = "ring")]
        Ok("client over TLS") => over_tls::publish(),
        _ => panic!("this is a part of the other tests"),
    }
}

#[test]
fn a_plain_vectored_write_to_a_dead_socket_kills_the_process() {
    // Otherwise the next test would prove nothing.
    assert_eq!(run("plain write").signal(), Some(SIGPIPE));
}

#[test]
fn the_client_survives_dead_sockets() {
    let status = run("client");
    assert!(status.success(), "{status}");
}

#[cfg(feature = "ring")]
#[test]
fn the_client_survives_dead_sockets_under_tls() {
    let status = run("client over TLS");
    assert!(status.success(), "{status}");
}

fn write_to_a_dead_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let _ = stream.write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")]);
}

fn greet_in_clear(mut stream: TcpStream) -> TcpStream {
    stream.write_all(b"INFO {\"max_payload\":1048576,\"headers\":true} \r\n").unwrap();
    stream
}

/// Servers that send INFO, read a little and hang up, while the client writes without a pause on a runtime that polls
/// its sockets only between tasks.
fn publish<S: Read + Write>(options: nats_lifeline::ConnectOptions, greet: impl Fn(TcpStream) -> S + Send + 'static) {
    const HANG_UPS: usize = 60;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = listener.local_addr().unwrap().to_string();
    let servers = thread::spawn(move || {
        for number in 0..HANG_UPS {
            let mut stream = greet(listener.accept().unwrap().0);
            let mut buf = vec![0; 4096];
            let mut seen = Vec::new();
            while !seen.windows(6).any(|part| part == b"PING\r\n") {
                match stream.read(&mut buf) {
                    Ok(n) if n > 0 => seen.extend_from_slice(&buf[..n]),
                    _ => break,
                }
            }
            let _ = stream.write_all(b"PONG\r\n");
            // Reads some of what follows, a different amount each time, and closes with more data in flight.
            let mut left = 1000 * number;
            while left > 0 {
                match stream.read(&mut buf) {
                    Ok(n) if n > 0 => left = left.saturating_sub(n),
                    _ => break,
                }
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let backoff = nats_lifeline::options::Backoff {
            initial: Duration::from_millis(1),
            factor: 1.0,
            max: Duration::from_millis(1),
            jitter: nats_lifeline::options::Jitter::None,
        };
        let options = options.retry_on_initial_connect().backoff(backoff);
        let client = options.connect(url).await.unwrap();
        let begun = Instant::now();
        while !servers.is_finished() && begun.elapsed() < Duration::from_secs(60) {
            // Refused while the outbox is full; this can be ignored here.
            if client.publish("a", bytes::Bytes::from_static(&[b'x'; 1000])).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    assert!(servers.is_finished(), "the client stopped dialling");
    servers.join().unwrap();
}

#[cfg(feature = "ring")]
mod over_tls {
    use std::io::Write;
    use std::net::TcpStream;
    use std::sync::Arc;

    use nats_lifeline::rustls::pki_types::pem::PemObject;
    use nats_lifeline::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use nats_lifeline::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

    use crate::support::Authority;

    pub(crate) fn publish() {
        let authority = Authority::new();
        let files = authority.server(&["127.0.0.1"]);
        let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        let options = nats_lifeline::ConnectOptions::new()
            .add_root_certificates(authority.certificate())
            // The first dial of a process also reads the system's certificates.
            .connection_timeout(std::time::Duration::from_secs(30))
            .tls_reconnect_jitter(std::time::Duration::ZERO);
        super::publish(options, move |mut stream: TcpStream| {
            let info = b"INFO {\"max_payload\":1048576,\"headers\":true,\"tls_required\":true} \r\n";
            stream.write_all(info).unwrap();
            StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)
        });
    }
}
