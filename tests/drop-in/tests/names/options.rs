//! Every option by its name and type.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::{Auth, AuthError, Client, ConnectError, ConnectOptions, Event, ReconnectToServer, Server, ServerInfo};

const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

#[test]
fn credentials() {
    let _: ConnectOptions = ConnectOptions::with_token("t".to_owned()).token("t".to_owned());
    let _: ConnectOptions = ConnectOptions::with_user_and_password("u".to_owned(), "p".to_owned())
        .user_and_password("u".to_owned(), "p".to_owned());
    let _: ConnectOptions = ConnectOptions::with_nkey(SEED.to_owned()).nkey(SEED.to_owned());
    let sign =
        |nonce: Vec<u8>| async move { if nonce.is_empty() { Err(AuthError::new("no nonce")) } else { Ok(nonce) } };
    let _: ConnectOptions = ConnectOptions::with_jwt("a.b.c".to_owned(), sign).jwt("a.b.c".to_owned(), sign);
    let _: ConnectOptions = ConnectOptions::with_auth_callback(|_nonce: Vec<u8>| async move {
        let mut auth = Auth::new();
        auth.jwt = Some("a.b.c".to_owned());
        auth.nkey = Some("U".to_owned());
        auth.signature = Some(vec![0; 64]);
        auth.username = Some("u".to_owned());
        auth.password = Some("p".to_owned());
        auth.token = Some("t".to_owned());
        Ok::<Auth, AuthError>(auth.clone())
    });
    assert!(ConnectOptions::with_credentials("nothing").is_err() && ConnectOptions::new().credentials("").is_err());
    let _ = async || -> std::io::Result<ConnectOptions> {
        let options = ConnectOptions::with_credentials_file("/nowhere.creds").await?;
        options.credentials_file(Path::new("/nowhere.creds")).await
    };
    assert_eq!(format!("{} {:?}", AuthError::new("why"), AuthError::new(7)), "AuthError(why) AuthError(7)");
}

#[test]
fn tls() {
    let path = PathBuf::from("/nowhere.pem");
    let _: ConnectOptions = ConnectOptions::new()
        .add_root_certificates(path.clone())
        .add_client_certificate(path.clone(), path)
        .require_tls(true)
        .tls_first();
    let _ = |config: async_nats::rustls::ClientConfig| -> ConnectOptions {
        ConnectOptions::new().tls_client_config(config)
    };
}

#[test]
fn behaviour() {
    let local: SocketAddr = ([127, 0, 0, 1], 0).into();
    let options: ConnectOptions = ConnectOptions::default()
        .ping_interval(Duration::from_secs(1))
        .no_echo()
        .subscription_capacity(1)
        .connection_timeout(Duration::from_secs(1))
        .request_timeout(None)
        .event_callback(|_: Event| async {})
        .reconnect_delay_callback(|attempts: usize| Duration::from_millis(attempts as u64))
        .reconnect_to_server_callback(|servers: Vec<Server>, _: ServerInfo| async move {
            let addr = servers.first()?.addr.clone();
            Some(ReconnectToServer { addr, delay: Some(Duration::ZERO) })
        })
        .client_capacity(2048)
        .custom_inbox_prefix("_MINE".to_owned())
        .name("n")
        .retry_on_initial_connect()
        .max_reconnects(3)
        .max_reconnects(None)
        .skip_subject_validation(false)
        .ignore_discovered_servers()
        .retain_servers_order()
        .read_buffer_capacity(8192)
        .local_address(local);
    assert!(format!("{:?}", options.clone()).contains("_MINE"));
}

async fn ways_to_connect(options: ConnectOptions) {
    let _: Result<Client, ConnectError> = options.clone().connect("a").await;
    let _: Result<Client, ConnectError> = async_nats::connect("a".to_owned()).await;
    let _: Result<Client, ConnectError> = async_nats::connect_with_options(vec!["a", "b"], options).await;
}
