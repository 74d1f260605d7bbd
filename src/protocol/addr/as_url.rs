//! Server addresses from and to the `Url` of the crate `url`, for programs that have one already.

use std::io;

use url::Url;
use zeroize::Zeroizing;

use super::{ServerAddr, invalid};

impl ServerAddr {
    /// An address from a URL, by the rules of [`ServerAddr`]'s `FromStr`.
    ///
    /// # Errors
    ///
    /// Of kind `InvalidInput`, naming the value (without credentials) and the rule.
    ///
    /// ```
    /// use nats_lifeline::ServerAddr;
    ///
    /// let url = url::Url::parse("tls://demo.nats.io").expect("a URL");
    /// let addr = ServerAddr::from_url(url)?;
    /// assert_eq!((addr.tls_required(), addr.host(), addr.port()), (true, "demo.nats.io", 4222));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_url(url: Url) -> io::Result<Self> {
        if url.cannot_be_a_base() {
            // Without the two slashes its scheme would be read as a host or a user.
            return Err(invalid(url.as_str(), "a URL without a host"));
        }
        url.as_str().parse()
    }

    /// The address as a URL, **credentials included**.
    ///
    /// # Panics
    ///
    /// On a `ws` or `wss` address whose host is no domain name by the standard for URLs, such as `ws://a.1`. Every
    /// `nats` and `tls` address is a URL.
    ///
    /// ```
    /// use nats_lifeline::ServerAddr;
    ///
    /// let addr: ServerAddr = "ada:pw@localhost:4223".parse()?;
    /// assert_eq!(addr.into_inner().as_str(), "nats://ada:pw@localhost:4223");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    #[allow(
        clippy::expect_used,
        reason = "said in the documentation; the signature, async-nats's, has no place for an error"
    )]
    pub fn into_inner(self) -> Url {
        // In a `ws` URL a backslash would end the host. Only credentials can have one.
        let url = Zeroizing::new(self.url.replace('\\', "%5C"));
        Url::parse(&url).expect("an address is a URL")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_way_through_a_url() {
        for text in [
            "localhost",
            "nats://localhost:4222",
            "tls://ada:p%40ss%2F@demo.nats.io:443",
            "tls://a:100%@b",
            "nats://s3cret@[::1]:4223",
            "nats://under_score",
            "TLS://Demo/",
            "wss://a:b\\c@example.com",
            "nats://a b:c\"d@h",
        ] {
            let addr: ServerAddr = text.parse().unwrap();
            let back = ServerAddr::from_url(addr.clone().into_inner()).unwrap();
            assert_eq!(back, addr, "{text}");
        }
    }

    #[test]
    fn a_url_that_is_no_server_s_is_refused_without_its_secret() {
        for text in ["http://ada:s3cret@localhost", "nats://ada:s3cret@localhost/path", "mailto:ada@example.com"] {
            let error = ServerAddr::from_url(Url::parse(text).unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
