//! A program that is configured from outside: by its environment, and by a context of the `nats` CLI.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

use nats_lifeline::ConnectOptions;
use tokio::process::{Child, Command};

use crate::support::{SOON, Server, eventually, soon};

const CONTEXT: &str = "NATS_LIFELINE_CONTEXT";

/// Runs the test `child` of this binary in its own process, with these variables and no others. It ends with its
/// standard input.
fn start(vars: &[(&str, &str)]) -> Child {
    let forking = crate::support::process::no_fork();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "configuration::child", "--ignored", "--nocapture"])
        .env_clear()
        .envs(vars.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    drop(forking);
    child
}

#[tokio::test]
#[ignore = "only for the tests that start it"]
async fn child() {
    let profile = match std::env::var(CONTEXT).as_deref() {
        Ok("selected") => ConnectOptions::from_context(None).await,
        Ok(name) => ConnectOptions::from_context(name).await,
        Err(_) => ConnectOptions::from_env().await,
    };
    let profile = match profile {
        Ok(profile) => profile,
        Err(error) => return println!("refused: {error}"),
    };
    let client = soon("a connection", profile.connect()).await.unwrap();
    tokio::task::spawn_blocking(|| io::stdin().lines().count()).await.unwrap();
    client.close().await.unwrap();
}

/// The server sees one client, whose name is the program's with the host's, or `name`.
async fn is_seen(mut child: Child, server: &Server, name: Option<&str>) {
    let mut seen = Vec::new();
    eventually("the server sees the client", SOON, async || {
        seen = server.connections();
        // The name comes with CONNECT, after the connection.
        seen.iter().any(|client| !client.name.is_empty()) || child.try_wait().unwrap().is_some()
    })
    .await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    match name {
        Some(name) => assert_eq!(seen[0].name, name),
        None => assert!(seen[0].name.starts_with("processes-") && seen[0].name.ends_with("@web-1"), "{seen:?}"),
    }
    drop(child.stdin.take());
    assert!(soon("the child's end", child.wait()).await.unwrap().success());
}

/// A folder that is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("nats/context")).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// S49, S45
#[tokio::test]
async fn a_program_connects_with_its_environment_and_the_server_sees_its_name() {
    let server = Server::builder().user_and_password("joe", "hunter2").start().await;
    let url = server.url();
    let login = [("NATS_SERVERS", &*url), ("NATS_USER", "joe"), ("NATS_PASSWORD", "hunter2"), ("HOSTNAME", "web-1")];
    is_seen(start(&login), &server, None).await;
    let named = [&login[..], &[("NATS_NAME", "mine"), ("NATS_URL", &url)]].concat();
    eventually("the first one is gone", SOON, async || server.connections().is_empty()).await;
    is_seen(start(&named), &server, Some("mine")).await;
}

// S49
#[tokio::test]
async fn a_program_whose_environment_is_wrong_says_which_variable() {
    let child = start(&[("NATS_USER", "joe"), ("NATS_URL", "127.0.0.1:1")]);
    let output = soon("the child's end", child.wait_with_output()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("refused: NATS_USER: needs NATS_PASSWORD (or NATS_PASS) as well"), "{text}");
}

// S49, S45
#[tokio::test]
async fn a_program_connects_with_a_context_of_the_cli() {
    let server = Server::builder().token("t0k3n").start().await;
    let folder = Folder::new("contexts");
    folder.file("nats/context/shop.json", &format!(r#"{{"url": "{}", "token": "t0k3n", "user": ""}}"#, server.url()));
    folder.file("nats/context.txt", "shop");
    for name in ["shop", "selected"] {
        let config = folder.0.to_str().unwrap();
        let child = start(&[("XDG_CONFIG_HOME", config), (CONTEXT, name), ("HOSTNAME", "web-1")]);
        is_seen(child, &server, None).await;
        eventually("it is gone", SOON, async || server.connections().is_empty()).await;
    }
}

// S49: the certificate's authority is known only from the variable, which also requires TLS.
#[cfg(feature = "ring")]
#[tokio::test]
async fn a_program_gets_its_certificates_from_its_environment() {
    let authority = crate::support::Authority::new();
    let identity = authority.server(&["localhost", "127.0.0.1"]);
    let trusted = authority.certificate();
    let verify = format!("verify: true, ca_file: \"{}\"", trusted.display());
    let server = Server::builder().line(identity.tls(&verify)).start().await;
    let own = authority.client("joe");
    let url = format!("nats://localhost:{}", server.port());
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (ca, cert, key) = (path(&trusted), path(&own.certificate), path(&own.key));
    let vars = [("NATS_URL", &*url), ("NATS_CA", &ca), ("NATS_CERT", &cert), ("NATS_KEY", &key), ("NATS_NAME", "mine")];
    is_seen(start(&vars), &server, Some("mine")).await;
    // The same without TLS at the server: nothing is sent to it.
    let plain = Server::start().await;
    let mut vars = vars;
    let url = format!("nats://localhost:{}", plain.port());
    vars[0] = ("NATS_URL", &url);
    let status = soon("the child's end", start(&vars).wait()).await.unwrap();
    assert!(!status.success() && !plain.log().contains("mine"));
}

// S49
#[cfg(feature = "nkeys")]
#[tokio::test]
async fn a_program_gets_its_key_from_a_file_that_its_environment_names() {
    let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    let public = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
    let server = Server::builder().line(format!("authorization {{ users = [ {{ nkey: {public} }} ] }}")).start().await;
    let folder = Folder::new("seeds");
    let file = folder.file("billing.nk", &format!("{seed}\n"));
    let url = server.url();
    let vars = [("NATS_URL", &*url), ("NATS_NKEY", &file), ("NATS_NAME", "mine")];
    is_seen(start(&vars), &server, Some("mine")).await;
}
