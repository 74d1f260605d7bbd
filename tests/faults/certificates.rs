//! Rows F: which certificates are trusted, and how errors describe the others.

use std::fs;
use std::process::Command;

use nats_lifeline::{ConnectErrorKind, ConnectOptions};
use rcgen::date_time_ymd;

use crate::support::pki::Identity;
use crate::support::{Authority, Server, soon};

const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

async fn server(identity: &Identity) -> (Server, String) {
    let server = Server::builder().line(identity.tls("")).start().await;
    let url = format!("tls://localhost:{}", server.port());
    (server, url)
}

/// Ok: connected and served. Otherwise the error's text.
async fn try_to_connect(options: ConnectOptions, url: &str) -> Result<(), String> {
    match soon("an answer", options.connect(url)).await {
        Ok(client) => {
            soon("a flush", client.flush()).await.unwrap();
            Ok(())
        }
        Err(error) => {
            assert_eq!(error.kind(), ConnectErrorKind::Tls, "{error}");
            Err(error.to_string())
        }
    }
}

fn trusting(file: impl Into<std::path::PathBuf>) -> ConnectOptions {
    ConnectOptions::new().add_root_certificates(file.into())
}

const URL: &str = "NATS_LIFELINE_TEST_URL";
const OTHER: &str = "NATS_LIFELINE_TEST_OTHER_CA";

// Fault F1: no test had a certificate that the system trusts, so the two sources of roots were never distinguished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_roots_replace_the_systems() {
    let (system, other) = (Authority::new(), Authority::new());
    let (_server, url) = server(&system.server(&HERE)).await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "certificates::where_the_system_trusts_the_server", "--ignored", "--nocapture"]);
    child.env("SSL_CERT_FILE", system.certificate()).env_remove("SSL_CERT_DIR");
    child.env(URL, url).env(OTHER, other.certificate());
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "only for the test that starts it"]
async fn where_the_system_trusts_the_server() {
    let (Ok(url), Some(other)) = (std::env::var(URL), std::env::var_os(OTHER)) else {
        panic!("this is a part of another test");
    };
    assert_eq!(try_to_connect(ConnectOptions::new(), &url).await, Ok(()), "the system's certificates are trusted");
    let refused = try_to_connect(trusting(other), &url).await.unwrap_err();
    assert!(refused.contains("add_root_certificates"), "{refused}");
}

/// `pem` with wrong bytes at the beginning, with invalid base64, or without its end.
fn damaged(pem: &str, how: &str) -> String {
    let begin = pem.find('\n').unwrap() + 1;
    let (middle, end) = (pem.len() / 2, pem.find("-----END").unwrap());
    match how {
        "no base64" => format!("{}*!*{}", &pem[..middle], &pem[middle..]),
        "other bytes" => format!("{}AAAAAAAA{}", &pem[..begin], &pem[begin + 8..]),
        "no end" => pem[..end].to_owned(),
        _ => unreachable!(),
    }
}

// Fault F2: bundles were tested valid or damaged as a whole.
#[tokio::test]
async fn one_damaged_certificate_does_not_spoil_its_bundle() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (_server, url) = server(&authority.server(&HERE)).await;
    let [good, another] = [&authority, &other].map(|it| fs::read_to_string(it.certificate()).unwrap());
    let bundle = authority.place("bundle.pem");
    for how in ["no base64", "other bytes", "no end"] {
        let bad = damaged(&another, how);
        for content in
            [format!("{bad}{good}{another}"), format!("{another}{bad}\n{good}"), format!("{good}{another}{bad}")]
        {
            fs::write(&bundle, content).unwrap();
            assert_eq!(try_to_connect(trusting(&bundle), &url).await, Ok(()), "{how}");
        }
        // Only valid certificates are trusted.
        fs::write(&bundle, format!("{bad}{another}")).unwrap();
        let refused = try_to_connect(trusting(&bundle), &url).await.unwrap_err();
        assert!(refused.contains("not signed by a trusted authority"), "{how}: {refused}");
        fs::write(&bundle, &bad).unwrap();
        let refused = try_to_connect(trusting(&bundle), &url).await.unwrap_err();
        assert!(refused.contains("bundle.pem"), "{how}: {refused}");
    }
    fs::write(&bundle, "no certificate at all").unwrap();
    let refused = try_to_connect(trusting(&bundle), &url).await.unwrap_err();
    assert!(refused.contains("bundle.pem") && refused.contains("no certificate"), "{refused}");
}

// Fault F3: all test servers had certificates signed by an authority.
#[tokio::test]
async fn a_root_presented_by_the_server_itself_is_accepted_for_its_names_while_valid() {
    let authority = Authority::new();
    let own = authority.own_root(&HERE, |_| {});
    let (_server, url) = server(&own).await;
    assert_eq!(try_to_connect(trusting(&own.certificate), &url).await, Ok(()));
    // Also in a bundle with others.
    let bundle = authority.place("bundle.pem");
    let content = [authority.certificate(), own.certificate.clone()].map(|file| fs::read_to_string(file).unwrap());
    fs::write(&bundle, content.concat()).unwrap();
    assert_eq!(try_to_connect(trusting(&bundle), &url).await, Ok(()));
    let named = trusting(&own.certificate).tls_server_name("elsewhere.example");
    let refused = try_to_connect(named, &url).await.unwrap_err();
    assert!(refused.contains("elsewhere.example"), "{refused}");
    // The same key and names, but a different certificate.
    let twin = authority.own_root(&HERE, |_| {});
    try_to_connect(trusting(&twin.certificate), &url).await.unwrap_err();
    try_to_connect(trusting(authority.certificate()), &url).await.unwrap_err();

    let expired = authority.own_root(&HERE, |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let (_server, url) = server(&expired).await;
    let refused = try_to_connect(trusting(&expired.certificate), &url).await.unwrap_err();
    assert!(refused.contains("expired"), "{refused}");
}

// Fault F3
#[tokio::test]
async fn unusable_certificates_and_keys_are_explained() {
    let authority = Authority::new();
    let (_server, url) = server(&authority.intermediate(&HERE)).await;
    let refused = try_to_connect(trusting(authority.certificate()), &url).await.unwrap_err();
    assert!(refused.contains("CA:FALSE") && !refused.contains("Other"), "{refused}");

    let client = authority.client("somebody");
    let key = authority.place("encrypted.pem");
    for mark in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    ] {
        fs::write(&key, mark).unwrap();
        let options = trusting(authority.certificate()).add_client_certificate(client.certificate.clone(), key.clone());
        let refused = try_to_connect(options, &url).await.unwrap_err();
        assert!(
            refused.contains("encrypted.pem: the key is encrypted") && refused.contains("openssl pkey"),
            "{refused}"
        );
    }
}
