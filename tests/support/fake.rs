//! A scripted server: each connection follows the test's script.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The INFO of a single nats-server.
pub(crate) const INFO: &str = "INFO {\"server_id\":\"FAKE\",\"server_name\":\"fake\",\"version\":\"2.15.1\",\"proto\":1,\"go\":\"go1.27\",\
     \"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,\"max_payload\":1048576,\"client_id\":7,\"client_ip\":\"127.0.0.1\"} \r\n";

/// Listens until dropped. The script gets each connection and its number, counted from 0.
pub(crate) struct Fake {
    port: u16,
    accepted: Arc<Mutex<Vec<Instant>>>,
    accepting: JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn start<F, Fut>(script: F) -> Fake
    where
        F: Fn(Conversation, usize) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let times = Arc::clone(&accepted);
        let accepting = tokio::spawn(async move {
            let mut conversations = tokio::task::JoinSet::new();
            let number = AtomicUsize::new(0);
            while let Ok((stream, _)) = listener.accept().await {
                times.lock().unwrap().push(Instant::now());
                let _ = stream.set_nodelay(true);
                conversations.spawn(script(
                    Conversation { stream: BufReader::new(stream) },
                    number.fetch_add(1, Ordering::Relaxed),
                ));
            }
        });
        Fake { port, accepted, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// When connections were accepted.
    pub(crate) fn accepted(&self) -> Vec<Instant> {
        self.accepted.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection of the client to a [`Fake`].
pub(crate) struct Conversation {
    stream: BufReader<TcpStream>,
}

impl Conversation {
    /// Sends bytes; errors are ignored, because the client may leave at any time.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// The next line without its line end; `None` at the end of the stream.
    pub(crate) async fn hear(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
        }
    }

    /// INFO, the client's CONNECT and PING, PONG. False if the client left first.
    pub(crate) async fn handshake(&mut self) -> bool {
        self.say(INFO).await;
        loop {
            match self.hear().await {
                Some(line) if line == "PING" => break,
                Some(_) => {}
                None => return false,
            }
        }
        self.say("PONG\r\n").await;
        true
    }

    /// Answers PINGs until the client leaves, and returns the other lines.
    pub(crate) async fn serve(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(line) = self.hear().await {
            if line == "PING" {
                self.say("PONG\r\n").await;
            } else {
                heard.push(line);
            }
        }
        heard
    }

    /// Keeps reading and sends nothing, until the client leaves.
    pub(crate) async fn ignore(&mut self) {
        let mut sink = [0; 4096];
        while self.stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
    }

    /// Closes with RST instead of FIN.
    pub(crate) fn reset(self) {
        let _ = SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO));
    }
}
