//! Servers and options from outside of the program, and why they cannot be used.

mod context;
mod environment;
mod settings;
mod surroundings;
#[cfg(test)]
mod tests;

use std::error;
use std::fmt;

use super::ConnectOptions;
use crate::client::Client;
use crate::client::error::{ConnectError, ConnectErrorKind};
use crate::protocol::{ServerAddr, kept, shown};

use surroundings::Surroundings;

/// Servers, and the options to connect to them, as [`ConnectOptions::from_env`] and [`ConnectOptions::from_context`] read
/// them.
///
/// Both can be changed before connecting. `Debug` shows no secret.
///
/// ```no_run
/// # async fn example() -> Result<(), nats_lifeline::Error> {
/// use nats_lifeline::ConnectOptions;
///
/// let mut profile = ConnectOptions::from_env().await?;
/// println!("connecting to {:?}", profile.servers);
/// profile.options = profile.options.no_echo().connect_attempts(10);
/// let client = profile.connect().await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a profile does nothing until `connect` is called"]
pub struct Profile {
    /// The servers, in the order in which they were given.
    pub servers: Vec<ServerAddr>,
    /// The options.
    pub options: ConnectOptions,
}

impl Profile {
    /// Changes the options, in the middle of a chain of calls.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::ConnectOptions;
    ///
    /// let profile = ConnectOptions::from_env().await?.with_options(|options| options.name("billing").no_echo());
    /// let client = profile.connect().await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_options(self, change: impl FnOnce(ConnectOptions) -> ConnectOptions) -> Profile {
        Profile { options: change(self.options), ..self }
    }

    /// Connects: the same as `profile.options.connect(profile.servers)`.
    ///
    /// # Errors
    ///
    /// As [`ConnectOptions::connect`].
    pub async fn connect(self) -> Result<Client, ConnectError> {
        self.options.connect(self.servers).await
    }
}

/// A setting from outside of the program cannot be used.
///
/// The text names the setting and the rule that it breaks, and never shows its value, not even that of a path: it may be a
/// secret in the wrong place. Control characters are escaped. It converts into a [`ConnectError`] of kind
/// [`Io`](ConnectErrorKind::Io), whose source it is.
///
/// ```no_run
/// # async fn example() {
/// // With NATS_CERT=/etc/nats/cert.pem, and without NATS_KEY:
/// let error = nats_lifeline::ConnectOptions::from_env().await.unwrap_err();
/// assert_eq!(error.setting(), "NATS_CERT");
/// assert_eq!(error.to_string(), "NATS_CERT: needs NATS_KEY as well");
/// # }
/// ```
#[derive(Debug)]
pub struct ProfileError {
    setting: String,
    rule: String,
    source: Option<crate::Error>,
}

impl ProfileError {
    fn new(setting: impl Into<String>, rule: impl Into<String>) -> ProfileError {
        let setting = kept(shown(&setting.into()).to_string());
        ProfileError { setting, rule: rule.into(), source: None }
    }

    fn because(setting: impl Into<String>, rule: &str, source: impl Into<crate::Error>) -> ProfileError {
        ProfileError { source: Some(source.into()), ..ProfileError::new(setting, rule) }
    }

    /// The setting: the name of a variable such as `NATS_CREDS`, or the path of a context's file, in most cases followed by a
    /// colon, a blank and the name of a field. Control characters are escaped, and a very long text is cut.
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, shown(&self.rule))?;
        match &self.source {
            Some(source) => write!(f, ": {}", shown(&source.to_string())),
            None => Ok(()),
        }
    }
}

impl error::Error for ProfileError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}

impl From<ProfileError> for ConnectError {
    /// An error of kind [`Io`](ConnectErrorKind::Io) with `error` as its source.
    fn from(error: ProfileError) -> ConnectError {
        ConnectError::with_source(ConnectErrorKind::Io, error)
    }
}

/// Options from outside of the program. Nothing is read from there except by these calls.
impl ConnectOptions {
    /// Reads servers and options from environment variables, now and once. An empty variable counts as unset.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `NATS_SERVERS` or `NATS_URL` | addresses, separated by commas. Default `nats://localhost:4222`, as for the `nats` CLI. If both are set they must be equal |
    /// | `NATS_TOKEN` | a [token](ConnectOptions::token) |
    /// | `NATS_USER`, and `NATS_PASSWORD` or `NATS_PASS` | a [user and a password](ConnectOptions::user_and_password); one needs the other. If both names of the password are set they must be equal |
    /// | `NATS_CREDS` | the path of a [credentials file](ConnectOptions::credentials_file), which is read again on every attempt |
    /// | `NATS_NKEY` | the path of a file with the seed of an [NKey](ConnectOptions::nkey), as for the `nats` CLI; not the seed itself |
    /// | `NATS_CA` | the path of a file with the certificates to [trust](ConnectOptions::add_root_certificates) |
    /// | `NATS_CERT` and `NATS_KEY` | the paths of a [client's certificate](ConnectOptions::add_client_certificate) and its key; one needs the other |
    /// | `NATS_NAME` | the connection's [name](ConnectOptions::name). Default: the name of the program's file, and after an `@` the value of `HOSTNAME`, if that is set |
    ///
    /// At most one of `NATS_TOKEN`, `NATS_USER`, `NATS_CREDS` and `NATS_NKEY` may be set. `NATS_CA` and `NATS_CERT` also
    /// [require TLS](ConnectOptions::require_tls), so that a mistake in an address cannot turn it off. All other options have
    /// their defaults.
    ///
    /// Files are read on their own threads. Each must be readable now, within 5 s, and have what it should have: certificates,
    /// the certificate's key, credentials. Those for TLS are read again for each connection.
    ///
    /// # Errors
    ///
    /// If a variable has an invalid value, is not UTF-8, or ends with a line end; if one is missing that another one needs; if
    /// a file cannot be read or used; or if a variable needs a feature of this crate that is disabled (`tls`, `nkeys`). The
    /// error names the variable, and does not show its value.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// // NATS_SERVERS=tls://one.example,tls://two.example NATS_CREDS=/etc/nats/billing.creds
    /// let client = nats_lifeline::ConnectOptions::from_env().await?.connect().await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn from_env() -> Result<Profile, ProfileError> {
        environment::profile(Surroundings::real()).await
    }

    /// Reads servers and options from a context of the `nats` CLI, now and once. `None`: from the one that was selected with
    /// `nats context select`.
    ///
    /// The context `orders` is in the file `nats/context/orders.json` in the folder `$XDG_CONFIG_HOME`, or else `~/.config`;
    /// the selected one's name is in `nats/context.txt`. Its fields, of which an empty one counts as unset:
    ///
    /// | field | meaning |
    /// |---|---|
    /// | `url` | addresses, separated by commas. Default `nats://localhost:4222` |
    /// | `user` and `password`, or `creds`, or `nkey`, or `user_jwt` and `user_seed` | as in [`from_env`](ConnectOptions::from_env). If there are several, the first in this order is used, as by the CLI. `creds` and `nkey` are paths. A `user_jwt` without a seed is sent without a signature |
    /// | `token` | a token, also in addition to one of these |
    /// | `ca`, `cert`, `key` | as `NATS_CA`, `NATS_CERT` and `NATS_KEY` in [`from_env`](ConnectOptions::from_env) |
    /// | `tls_first` | see [`tls_first`](ConnectOptions::tls_first) |
    /// | `inbox_prefix` | see [`custom_inbox_prefix`](ConnectOptions::custom_inbox_prefix) |
    /// | `name`, `description`, `color_scheme`, `jetstream_domain`, `jetstream_api_prefix`, `jetstream_event_prefix` | ignored: they are for the CLI, and for JetStream |
    ///
    /// In a path, `~` at its beginning is the home folder, and `$NAME` and `${NAME}` are environment variables. The
    /// connection's name has the default of [`from_env`](ConnectOptions::from_env).
    ///
    /// # Errors
    ///
    /// If there is no such context; if a field has an invalid value, ends with a line end, needs another one, or is not
    /// supported: `nsc`, `socks_proxy` (see [`dialer`](ConnectOptions::dialer)), the Windows certificate store, references such
    /// as `op://…`, and any other field with a value; if a file cannot be read within 5 s, or cannot be used; or if a field needs
    /// a feature of this crate that is disabled. The error names the context's file and the field, and does not show the
    /// field's value.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// use nats_lifeline::ConnectOptions;
    ///
    /// let client = ConnectOptions::from_context("orders").await?.connect().await?;
    /// let selected = ConnectOptions::from_context(None).await?;
    /// # drop((client, selected));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn from_context<'a, T: Into<Option<&'a str>>>(name: T) -> Result<Profile, ProfileError> {
        context::profile(name.into(), Surroundings::real()).await
    }
}
