//! What both sources have in common: values become options, and files are checked.

use std::path::PathBuf;
#[cfg(feature = "nkeys")]
use std::{io, sync::Arc};

use super::surroundings::Value;
#[cfg(feature = "tls")]
use super::surroundings::read;
use super::{Profile, ProfileError};
use crate::client::{self, options::ConnectOptions};
#[cfg(feature = "tls")]
use crate::driver;
use crate::protocol::ServerAddr;

/// Where a server is if nothing says so: as for the `nats` CLI.
const DEFAULT_SERVER: &str = "nats://localhost:4222";

/// Values, each with the name of its setting for errors.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) servers: Option<Value>,
    pub(super) login: Login,
    pub(super) token: Option<Value>,
    /// A path.
    pub(super) ca: Option<Value>,
    /// Paths of a certificate and its key.
    pub(super) client: Option<(Value, Value)>,
    pub(super) tls_first: bool,
    pub(super) inbox_prefix: Option<Value>,
    pub(super) name: Option<String>,
}

/// One kind of credentials.
#[derive(Default)]
pub(super) enum Login {
    #[default]
    None,
    User(Value, Value),
    /// A path.
    Creds(Value),
    /// A path.
    NKey(Value),
    /// A JWT and its seed.
    Jwt(Value, Option<Value>),
}

impl Settings {
    /// Makes options of the values; reads the files that they name.
    pub(super) async fn profile(self) -> Result<Profile, ProfileError> {
        let servers = servers(self.servers)?;
        let mut options = log_in(ConnectOptions::new(), self.login).await?;
        if let Some(token) = self.token {
            options = options.token(token.text);
        }
        if let Some(name) = self.name {
            options = options.name(name);
        }
        if let Some(prefix) = self.inbox_prefix {
            options = options.custom_inbox_prefix(&prefix.text);
            // Only the prefix can be invalid.
            options.check().map_err(|invalid| prefix.refused(invalid.rule))?;
        }
        if let Some(ca) = self.ca {
            let path = root_file(&ca).await?;
            options = options.add_root_certificates(path).require_tls(true);
        }
        if let Some((cert, key)) = self.client {
            let (cert, key) = client_files(&cert, &key).await?;
            options = options.add_client_certificate(cert, key).require_tls(true);
        }
        if self.tls_first {
            options = options.tls_first();
        }
        Ok(Profile { servers, options })
    }
}

/// Two settings of which one needs the other.
pub(super) fn together(
    first: Option<Value>,
    name: &str,
    second: Option<Value>,
    other: &str,
) -> Result<Option<(Value, Value)>, ProfileError> {
    match (first, second) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (Some(alone), None) => Err(alone.refused(format!("needs {other} as well"))),
        (None, Some(alone)) => Err(alone.refused(format!("needs {name} as well"))),
        (None, None) => Ok(None),
    }
}

fn servers(list: Option<Value>) -> Result<Vec<ServerAddr>, ProfileError> {
    let text = list.as_ref().map_or(DEFAULT_SERVER, |list| &list.text);
    client::servers::servers(text).map_err(|error| {
        // The value may be a password that is not where it belongs, so only the rule is shown.
        let text = error.to_string();
        let rule = text.rsplit_once("\": ").map_or("", |(_, rule)| rule).to_owned();
        ProfileError::new(list.map_or_else(String::new, |list| list.setting), format!("invalid server address: {rule}"))
    })
}

/// A path. Some secrets in its place are recognised, for a better error. No error shows it: a secret with a missing character
/// looks like a file that does not exist.
fn path(value: &Value) -> Result<PathBuf, ProfileError> {
    let text = value.text.trim();
    let base32 = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7');
    let seed = text.len() == 58 && text.starts_with('S') && text.bytes().all(base32);
    if seed || text.starts_with("eyJ") || text.contains("-----BEGIN") || text.contains('\n') {
        return Err(value.refused("must be the path of a file, not its content"));
    }
    Ok(PathBuf::from(&value.text))
}

#[cfg(feature = "tls")]
fn unusable<E: Into<crate::Error>>(value: &Value) -> impl FnOnce(E) -> ProfileError + '_ {
    |error| ProfileError::because(value.setting.clone(), "its file cannot be used", error)
}

/// The path of a file with certificates to trust. Read again for each connection, and checked now, since a mistake here
/// would look like a server that does not answer.
#[cfg(feature = "tls")]
async fn root_file(value: &Value) -> Result<PathBuf, ProfileError> {
    let path = path(value)?;
    let pem = read(&path).await.map_err(unusable(value))?;
    driver::check_roots(&pem).map_err(unusable(value))?;
    Ok(path)
}

/// The paths of a client's certificate and its key.
#[cfg(feature = "tls")]
async fn client_files(cert: &Value, key: &Value) -> Result<(PathBuf, PathBuf), ProfileError> {
    let (cert_path, key_path) = (path(cert)?, path(key)?);
    let certificate = read(&cert_path).await.map_err(unusable(cert))?;
    driver::check_certificate(&certificate).map_err(unusable(cert))?;
    let secret = read(&key_path).await.map_err(unusable(key))?;
    driver::check_key(&certificate, &secret).map_err(unusable(key))?;
    Ok((cert_path, key_path))
}

#[cfg(not(feature = "tls"))]
async fn root_file(value: &Value) -> Result<PathBuf, ProfileError> {
    path(value).and(Err(value.refused("needs the feature `tls` of nats-lifeline")))
}

#[cfg(not(feature = "tls"))]
async fn client_files(cert: &Value, _: &Value) -> Result<(PathBuf, PathBuf), ProfileError> {
    root_file(cert).await.map(|path| (path.clone(), path))
}

async fn log_in(options: ConnectOptions, login: Login) -> Result<ConnectOptions, ProfileError> {
    match login {
        Login::None => Ok(options),
        Login::User(user, password) => Ok(options.user_and_password(user.text, password.text)),
        login => log_in_with_key(options, login).await,
    }
}

#[cfg(not(feature = "nkeys"))]
async fn log_in_with_key(options: ConnectOptions, login: Login) -> Result<ConnectOptions, ProfileError> {
    const RULE: &str = "needs the feature `nkeys` of nats-lifeline";
    match login {
        Login::Creds(value) | Login::NKey(value) => path(&value).and(Err(value.refused(RULE))),
        Login::Jwt(jwt, seed) => Err(seed.unwrap_or(jwt).refused(RULE)),
        Login::None | Login::User(..) => Ok(options),
    }
}

#[cfg(feature = "nkeys")]
async fn log_in_with_key(mut options: ConnectOptions, login: Login) -> Result<ConnectOptions, ProfileError> {
    use crate::client::creds_file::CredsFile;
    use crate::client::nkey::UserKey;
    use crate::client::options::auth::Credentials;

    match login {
        Login::Creds(creds) => {
            let (path, limit) = (path(&creds)?, options.config.connect_timeout);
            let file =
                CredsFile::open_unnamed(&path, limit).await.map_err(io::Error::from).map_err(unusable(&creds))?;
            options.credentials = Credentials::File(Arc::new(file));
            Ok(options)
        }
        Login::NKey(nkey) => {
            let content = read(&path(&nkey)?).await.map_err(unusable(&nkey))?;
            let seed = std::str::from_utf8(&content).map_err(|_| nkey.refused("its file is not UTF-8"))?;
            let key = UserKey::from_seed(seed).map_err(unusable(&nkey))?;
            Ok(options.with_user_key(key))
        }
        Login::Jwt(jwt, Some(seed)) => {
            let key = UserKey::from_seed(&seed.text)
                .map_err(|fault| ProfileError::because(seed.setting.clone(), "it cannot be used", fault))?;
            Ok(options.with_jwt_and_key(jwt.text, key))
        }
        Login::Jwt(jwt, None) => Ok(options.jwt(jwt.text, |_| async { Ok(Vec::new()) })),
        Login::None | Login::User(..) => Ok(options),
    }
}
