//! The servers that a user names: an address that can never be dialled is refused before anything is.

use std::io;

use crate::protocol::{ServerAddr, ToServerAddrs};

const NO_WEBSOCKET: &str = "this version has no WebSocket, so the scheme must be nats or tls";

/// The addresses.
///
/// # Errors
///
/// If one cannot be parsed or dialled. The error names it without its credentials, and then the rule.
pub(crate) fn servers<A: ToServerAddrs>(addrs: A) -> io::Result<Vec<ServerAddr>> {
    let addrs: Vec<ServerAddr> = addrs.to_server_addrs()?.collect();
    dialable(&addrs)?;
    Ok(addrs)
}

/// # Errors
///
/// If one of them cannot be dialled.
pub(crate) fn dialable(addrs: &[ServerAddr]) -> io::Result<()> {
    match addrs.iter().find(|addr| addr.is_websocket()) {
        Some(addr) => Err(addr.refused(NO_WEBSOCKET)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::{ConnectErrorKind, ConnectOptions, SetServerPoolErrorKind};

    const REFUSED: &str = r#"invalid server address "wss://***@h.example": this version has no WebSocket, so the scheme must be nats or tls"#;

    /// Retries cannot help, so nothing that takes addresses accepts one that cannot be dialled.
    #[tokio::test]
    async fn a_websocket_address_is_refused_immediately_by_everything_that_takes_addresses() {
        let alone = ["wss://joe:hunter2@h.example"];
        let listed = ["nats://127.0.0.1:1", "wss://joe:hunter2@h.example"];
        for addrs in [&alone[..], &listed[..]] {
            for options in [ConnectOptions::new(), ConnectOptions::new().retry_on_initial_connect()] {
                let error = options.connect(addrs).await.unwrap_err();
                assert_eq!(error.kind(), ConnectErrorKind::ServerParse);
                assert_eq!(error.to_string(), format!("failed to parse server or server list: {REFUSED}"));
            }
            let error = ConnectOptions::new().preferred_servers(addrs).unwrap_err();
            assert_eq!(error.to_string(), REFUSED);
        }
        let client = ConnectOptions::new().retry_on_initial_connect().connect("nats://127.0.0.1:1").await.unwrap();
        let error = client.set_server_pool(&alone[..]).await.unwrap_err();
        assert_eq!(error.kind(), SetServerPoolErrorKind::InvalidAddress);
        assert_eq!(error.to_string(), format!("invalid server address: {REFUSED}"));
        assert_eq!(client.server_pool().await.unwrap().len(), 1, "the pool is unchanged");
    }
}
