//! Options that are sent to the server: name, credentials, echo, inboxes.

use super::ConnectOptions;
use crate::protocol::Secret;

impl ConnectOptions {
    /// Options with a token. For compatibility: short for `ConnectOptions::new().token(token)`.
    pub fn with_token(token: String) -> Self {
        ConnectOptions::new().token(token)
    }

    /// Authenticates with a token. Default: none.
    ///
    /// All credentials that are set are sent together; the server uses those it knows.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// let token = std::env::var("NATS_TOKEN").unwrap_or_default();
    /// let client = nats_lifeline::ConnectOptions::new().token(token).connect("nats.example").await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn token(mut self, token: String) -> Self {
        self.config.identity.token = Some(Secret::from(token));
        self
    }

    /// Options with a user and a password. For compatibility: short for `ConnectOptions::new().user_and_password(user,
    /// pass)`.
    pub fn with_user_and_password(user: String, pass: String) -> Self {
        ConnectOptions::new().user_and_password(user, pass)
    }

    /// Authenticates with a user name and a password. Default: none.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().user_and_password("joe".into(), "hunter2".into());
    /// assert!(!format!("{options:?}").contains("hunter2"));
    /// ```
    pub fn user_and_password(mut self, user: String, pass: String) -> Self {
        self.config.identity.user = Some(user);
        self.config.identity.password = Some(Secret::from(pass));
        self
    }

    /// Names the connection; the server's monitoring and its log show it. Default: none.
    pub fn name<T: ToString>(mut self, name: T) -> ConnectOptions {
        self.config.identity.name = Some(name.to_string());
        self
    }

    /// Asks the server not to send this client its own messages. Default: the server sends them to every matching
    /// subscription.
    pub fn no_echo(mut self) -> ConnectOptions {
        self.config.identity.echo = false;
        self
    }

    /// Asks the server to acknowledge every operation with `+OK`. Default: it does not.
    ///
    /// For inspecting a connection with other tools. The acknowledgements cost bandwidth, and this client ignores
    /// them.
    pub fn verbose(mut self) -> ConnectOptions {
        self.config.identity.verbose = true;
        self
    }

    /// Asks the server to check more strictly, for instance the subjects of published messages. Default: it does not.
    ///
    /// Violations are reported as an [`Event`](crate::Event).
    pub fn pedantic(mut self) -> ConnectOptions {
        self.config.identity.pedantic = true;
        self
    }

    /// Sets the prefix of inboxes, the subjects of replies. Default `_INBOX`.
    ///
    /// Servers can be configured to let a user subscribe to its own inboxes only; then each user needs its own
    /// prefix. It must be a subject without wildcards, at least 46 bytes shorter than
    /// [`max_control_line`](ConnectOptions::max_control_line). A dot is added after it.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().custom_inbox_prefix("_INBOX_billing");
    /// # drop(options);
    /// ```
    pub fn custom_inbox_prefix<T: ToString>(mut self, prefix: T) -> ConnectOptions {
        self.inbox_prefix = prefix.to_string();
        self
    }
}
