//! Options for credentials: keys, JWTs, credentials files, callbacks. Each source is asked again on every attempt.

use std::fmt;
use std::future::Future;
#[cfg(feature = "nkeys")]
use std::io;
#[cfg(feature = "nkeys")]
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use super::ConnectOptions;
#[cfg(feature = "nkeys")]
use crate::client::auth::expires_in;
use crate::client::auth::{Auth, AuthError, AuthRequest};
#[cfg(feature = "nkeys")]
use crate::client::credentials::{self, Creds};
#[cfg(feature = "nkeys")]
use crate::client::creds_file::CredsFile;
#[cfg(feature = "nkeys")]
use crate::client::encoding::base64_url;
#[cfg(feature = "nkeys")]
use crate::client::nkey::{NKeyError, UserKey};
use crate::driver::{Authenticator, CredentialsQuestion};
use crate::engine;
#[cfg(feature = "nkeys")]
use crate::protocol::Secret;

type AuthAnswer = Pin<Box<dyn Future<Output = Result<Auth, AuthError>> + Send>>;
type AuthCallback = Arc<dyn Fn(AuthRequest) -> AuthAnswer + Send + Sync>;

#[cfg(feature = "nkeys")]
type SignAnswer = Pin<Box<dyn Future<Output = Result<Vec<u8>, AuthError>> + Send>>;
#[cfg(feature = "nkeys")]
type SignCallback = Arc<dyn Fn(Vec<u8>) -> SignAnswer + Send + Sync>;

/// The source of an attempt's credentials, in addition to user, password and token.
#[derive(Clone, Default)]
pub(super) enum Credentials {
    #[default]
    None,
    Callback(AuthCallback),
    #[cfg(feature = "nkeys")]
    NKey(Result<Arc<UserKey>, NKeyError>),
    #[cfg(feature = "nkeys")]
    Jwt(Secret, SignCallback),
    #[cfg(feature = "nkeys")]
    Text(Arc<Creds>),
    #[cfg(feature = "nkeys")]
    File(Arc<CredsFile>),
}

impl Credentials {
    pub(super) fn are_asked(&self) -> bool {
        !matches!(self, Credentials::None)
    }

    /// Finds invalid credentials before any server is dialled.
    #[cfg(feature = "nkeys")]
    pub(super) fn check(&self) -> Result<(), NKeyError> {
        match self {
            Credentials::NKey(Err(error)) => Err(*error),
            _ => Ok(()),
        }
    }

    /// Finds invalid credentials before any server is dialled.
    #[cfg(not(feature = "nkeys"))]
    pub(super) fn check(&self) -> Result<(), std::convert::Infallible> {
        Ok(())
    }

    pub(super) fn into_authenticator(self) -> Option<Authenticator> {
        self.are_asked().then(|| {
            Authenticator::new(move |question| {
                let credentials = self.clone();
                async move { credentials.answer(question).await }
            })
        })
    }

    async fn answer(self, question: CredentialsQuestion) -> Result<engine::Credentials, String> {
        let CredentialsQuestion { nonce, server, attempt, last_error } = question;
        match self {
            Credentials::None => Ok(engine::Credentials::default()),
            Credentials::Callback(callback) => {
                let nonce = nonce.map(String::into_bytes).unwrap_or_default();
                let request = AuthRequest { nonce, server, attempt, last_error };
                callback(request).await.map(Auth::into_credentials).map_err(|error| error.to_string())
            }
            #[cfg(feature = "nkeys")]
            Credentials::NKey(key) => {
                let key = key.map_err(|error| error.to_string())?;
                let signature = nonce.map(|nonce| Secret::from(key.sign(nonce.as_bytes())));
                let nkey = Some(key.public().to_owned());
                Ok(engine::Credentials { nkey, signature, ..engine::Credentials::default() })
            }
            #[cfg(feature = "nkeys")]
            Credentials::Jwt(jwt, sign) => {
                let signature = match nonce {
                    Some(nonce) => Some(sign(nonce.into_bytes()).await.map_err(|error| error.to_string())?),
                    None => None,
                };
                let signature = signature.map(|signature| Secret::from(base64_url(&signature)));
                Ok(engine::Credentials { jwt: Some(jwt), signature, ..engine::Credentials::default() })
            }
            #[cfg(feature = "nkeys")]
            Credentials::Text(creds) => Ok(signed(&creds, nonce)),
            #[cfg(feature = "nkeys")]
            Credentials::File(file) => {
                let creds = file.latest().await?;
                // The file may differ on another attempt.
                Ok(engine::Credentials { expires_in: expires_in(&creds.jwt), ..signed(&creds, nonce) })
            }
        }
    }
}

#[cfg(feature = "nkeys")]
fn signed(creds: &Creds, nonce: Option<String>) -> engine::Credentials {
    let signature = nonce.map(|nonce| Secret::from(creds.key.sign(nonce.as_bytes())));
    engine::Credentials { jwt: Some(creds.jwt.clone()), signature, ..engine::Credentials::default() }
}

impl fmt::Debug for Credentials {
    /// Shows the kind and the source of the credentials, but no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::None => f.write_str("None"),
            Credentials::Callback(_) => f.write_str("Callback"),
            #[cfg(feature = "nkeys")]
            Credentials::NKey(Ok(key)) => f.debug_tuple("NKey").field(&key.public()).finish(),
            #[cfg(feature = "nkeys")]
            Credentials::NKey(Err(error)) => f.debug_tuple("NKey").field(error).finish(),
            #[cfg(feature = "nkeys")]
            Credentials::Jwt(..) => f.write_str("Jwt(***)"),
            #[cfg(feature = "nkeys")]
            Credentials::Text(_) => f.write_str("Text(***)"),
            #[cfg(feature = "nkeys")]
            Credentials::File(file) => f.debug_tuple("File").field(&file.path()).finish(),
        }
    }
}

/// If several of the options below are set, or one of them and a callback, the last one is used. User, password and
/// token are sent together with a key or a JWT, but not together with the result of a callback.
impl ConnectOptions {
    /// Options with an authentication callback. Default: none.
    ///
    /// `callback` is called on every attempt, with the nonce that the server wants signed (empty if it wants none). The
    /// server gets only what the callback returns; credentials from options and addresses are not added. It runs in its
    /// own task, within the attempt's [`connection_timeout`](ConnectOptions::connection_timeout); servers have their
    /// own limit, two seconds by default. If it returns an error or panics, the attempt fails: `connect` returns kind
    /// [`Authentication`](crate::ConnectErrorKind::Authentication), a reconnect emits an event, and the next attempt
    /// calls the callback again. Before a returned JWT expires, the client moves to a new connection, and calls the
    /// callback for it. The callback must not [block](ConnectOptions#callbacks).
    ///
    /// ```no_run
    /// use nats_lifeline::{Auth, AuthError, ConnectOptions};
    ///
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// let client = ConnectOptions::with_auth_callback(|_nonce| async {
    ///     let mut auth = Auth::new();
    ///     auth.token = Some(std::env::var("NATS_TOKEN").map_err(AuthError::new)?);
    ///     Ok(auth)
    /// })
    /// .connect("nats.example")
    /// .await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_auth_callback<F, Fut>(callback: F) -> Self
    where
        F: Fn(Vec<u8>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Auth, AuthError>> + 'static + Send + Sync,
    {
        ConnectOptions::new().authenticate_with(move |request| callback(request.nonce))
    }

    /// Uses `callback` to get the credentials of each attempt. Its argument contains the server, the number of the
    /// attempt and the last error. Otherwise the same as [`with_auth_callback`](ConnectOptions::with_auth_callback).
    ///
    /// ```
    /// use nats_lifeline::{Auth, ConnectOptions};
    ///
    /// let options = ConnectOptions::new().authenticate_with(|request| async move {
    ///     let mut auth = Auth::new();
    ///     auth.username = Some(format!("guest of {}", request.server));
    ///     Ok(auth)
    /// });
    /// # drop(options);
    /// ```
    pub fn authenticate_with<F, Fut>(mut self, callback: F) -> Self
    where
        F: Fn(AuthRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Auth, AuthError>> + Send + 'static,
    {
        self.credentials = Credentials::Callback(Arc::new(move |request| Box::pin(callback(request))));
        self
    }
}

/// Credentials that need the feature `nkeys`.
#[cfg(feature = "nkeys")]
impl ConnectOptions {
    /// Options with an NKey. For compatibility: short for `ConnectOptions::new().nkey(seed)`.
    pub fn with_nkey(seed: String) -> Self {
        ConnectOptions::new().nkey(seed)
    }

    /// Authenticates with an NKey. `seed` is a user's seed, `SU…`, and never leaves this process. Default: none.
    ///
    /// With a seed that is not a user's, connecting fails with kind
    /// [`Authentication`](crate::ConnectErrorKind::Authentication) and an [`NKeyError`](crate::client::NKeyError) as
    /// its source.
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    ///
    /// let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY".to_owned();
    /// let options = ConnectOptions::new().nkey(seed);
    /// assert!(!format!("{options:?}").contains("SUACSSL3"));
    /// ```
    pub fn nkey(mut self, seed: String) -> Self {
        self.credentials = Credentials::NKey(UserKey::from_seed(&Secret::from(seed)).map(Arc::new));
        self
    }

    pub(super) fn with_user_key(mut self, key: UserKey) -> ConnectOptions {
        self.credentials = Credentials::NKey(Ok(Arc::new(key)));
        self
    }

    pub(super) fn with_jwt_and_key(mut self, jwt: String, key: UserKey) -> ConnectOptions {
        self.credentials = Credentials::Text(Arc::new(Creds { jwt: Secret::from(jwt), key }));
        self
    }

    /// Options with a JWT. For compatibility: short for `ConnectOptions::new().jwt(jwt, sign_cb)`.
    pub fn with_jwt<F, Fut>(jwt: String, sign_cb: F) -> Self
    where
        F: Fn(Vec<u8>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<u8>, AuthError>> + 'static + Send + Sync,
    {
        ConnectOptions::new().jwt(jwt, sign_cb)
    }

    /// Authenticates with a user's JWT. On every attempt `sign_cb` signs the server's nonce with the user's key, so
    /// that the key need not be given to the client. Default: none.
    ///
    /// `sign_cb` runs in its own task, within the attempt's
    /// [`connection_timeout`](ConnectOptions::connection_timeout). It returns the 64 bytes of the signature, which
    /// are then encoded for the server; an error or a panic fails the attempt. It must not
    /// [block](ConnectOptions#callbacks). A JWT of several kilobytes needs a server with a higher `max_control_line`:
    /// see [`max_control_line`](ConnectOptions::max_control_line).
    ///
    /// ```
    /// use nats_lifeline::{AuthError, ConnectOptions};
    ///
    /// let options = ConnectOptions::new().jwt("eyJ0…".to_owned(), |nonce| async move {
    ///     // Ask the vault to sign `nonce`.
    ///     Err(AuthError::new(format!("no vault to sign {} bytes", nonce.len())))
    /// });
    /// # drop(options);
    /// ```
    pub fn jwt<F, Fut>(mut self, jwt: String, sign_cb: F) -> Self
    where
        F: Fn(Vec<u8>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<u8>, AuthError>> + 'static + Send + Sync,
    {
        self.credentials = Credentials::Jwt(Secret::from(jwt), Arc::new(move |nonce| Box::pin(sign_cb(nonce))));
        self
    }

    /// Options with a credentials file. For compatibility: short for `ConnectOptions::new().credentials_file(path)`.
    ///
    /// # Errors
    ///
    /// As [`credentials_file`](ConnectOptions::credentials_file).
    pub async fn with_credentials_file(path: impl AsRef<Path>) -> io::Result<Self> {
        ConnectOptions::new().credentials_file(path).await
    }

    /// Authenticates with a credentials file (JWT and seed), as `nsc` writes it. Default: none.
    ///
    /// The file is read now, to report a bad file immediately, and again on every attempt, so that a renewed file is
    /// used. If later it cannot be read, is not a credentials file, or takes longer than a second to read, its last
    /// content is used, with a warning in the log. It is read on its own thread, so that a disk that hangs delays
    /// nothing else; it may be a pipe that can be read only once.
    ///
    /// Before the JWT expires, the client moves to a new connection, as by
    /// [`force_reconnect`](crate::Client::force_reconnect), and uses what the file contains then. This happens when a
    /// tenth of its lifetime is left, but at least two seconds and at most a minute before it ends. The cause is
    /// [`Cause::Renewal`](crate::connection::Cause::Renewal).
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or not within the [`connection_timeout`](ConnectOptions::connection_timeout) that
    /// was set before, with its path; of kind `InvalidData`, with a [`CredsError`](crate::client::CredsError), if it is
    /// not a credentials file.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), nats_lifeline::Error> {
    /// let options = nats_lifeline::ConnectOptions::with_credentials_file("/etc/nats/billing.creds").await?;
    /// let client = options.connect("nats.example").await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn credentials_file(mut self, path: impl AsRef<Path>) -> io::Result<Self> {
        let file = CredsFile::open(path.as_ref(), self.config.connect_timeout).await?;
        self.credentials = Credentials::File(Arc::new(file));
        Ok(self)
    }

    /// Options with the text of a credentials file. For compatibility: short for
    /// `ConnectOptions::new().credentials(creds)`.
    ///
    /// # Errors
    ///
    /// As [`credentials`](ConnectOptions::credentials).
    pub fn with_credentials(creds: &str) -> io::Result<Self> {
        ConnectOptions::new().credentials(creds)
    }

    /// Authenticates with the text of a credentials file. Default: none.
    ///
    /// # Errors
    ///
    /// Of kind `InvalidData`, with a [`CredsError`](crate::client::CredsError), if it is not the text of a
    /// credentials file. The text is not shown.
    ///
    /// ```
    /// let error = nats_lifeline::ConnectOptions::with_credentials("SUA…").unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    /// ```
    pub fn credentials(mut self, creds: &str) -> io::Result<Self> {
        self.credentials = Credentials::Text(Arc::new(credentials::parse(creds)?));
        Ok(self)
    }
}
