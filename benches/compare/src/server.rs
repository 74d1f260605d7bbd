//! The real server: the one of `--server`, or one that is started here.

use crate::Failure;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    /// `host:port`.
    pub(crate) addr: String,
    pub(crate) version: String,
    child: Option<Child>,
    /// Its files, which are removed at the end.
    folder: Option<PathBuf>,
}

impl Server {
    /// `None`, with the reason on stderr, if there is no server to be had.
    pub(crate) fn get(given: Option<&str>) -> Option<Self> {
        let got = match given {
            Some(addr) => Self::at(addr.to_owned(), None),
            None => Self::start(),
        };
        got.map_err(|failure| eprintln!("compare: no workload with a real server: {failure}")).ok()
    }

    fn start() -> Result<Self, Failure> {
        let program = std::env::var_os("NATS_SERVER_BIN").map_or_else(|| PathBuf::from("nats-server"), PathBuf::from);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("compare-{}", std::process::id()));
        let child = Command::new(&program)
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("no --server, and {} does not start: {error}; set NATS_SERVER_BIN", program.display())
            })?;
        let mut server = Self::at(format!("127.0.0.1:{port}"), Some(child))?;
        server.folder = Some(folder);
        Ok(server)
    }

    /// Waits for its INFO.
    fn at(addr: String, child: Option<Child>) -> Result<Self, Failure> {
        let mut server = Self { addr, version: String::new(), child, folder: None };
        let began = Instant::now();
        loop {
            match version(&server.addr) {
                Ok(version) => {
                    server.version = version;
                    return Ok(server);
                }
                Err(failure) if server.child.is_none() || began.elapsed() > PATIENCE => {
                    return Err(format!("{}: {failure}", server.addr).into());
                }
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

fn version(addr: &str) -> Result<String, Failure> {
    let socket = TcpStream::connect(addr)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut info = String::new();
    BufReader::new(socket).read_line(&mut info)?;
    let (_, rest) = info.split_once("\"version\":\"").ok_or("no INFO came")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
