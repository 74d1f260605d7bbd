//! Scaffold, dropped when the client's core comes: connecting, which checks the options and then fails.

use super::Client;
use super::error::{ConnectError, ConnectErrorKind};
use super::options::ConnectOptions;
use crate::protocol::ToServerAddrs;

pub(crate) async fn connect<A: ToServerAddrs>(addrs: A, options: ConnectOptions) -> Result<Client, ConnectError> {
    let settings = options.into_settings()?;
    let _addrs = addrs
        .to_server_addrs()
        .map_err(|error| ConnectError::with_source(ConnectErrorKind::ServerParse, error))?
        .collect::<Vec<_>>();
    drop(settings);
    Err(ConnectError::with_source(ConnectErrorKind::Io, "this is a scaffold"))
}
