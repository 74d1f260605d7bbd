//! Equality of addresses, and how they are shown.

use core::fmt;
use core::hash::{Hash, Hasher};

use super::{ServerAddr, hide_credentials};

impl PartialEq for ServerAddr {
    /// The same scheme, credentials, host (ignoring case) and port, however written.
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.user == other.user
            && self.password == other.password
            && self.same_endpoint(other)
    }
}

impl Eq for ServerAddr {}

impl Hash for ServerAddr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.scheme.hash(state);
        self.username().hash(state);
        self.password().hash(state);
        for byte in self.host.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        self.port.hash(state);
    }
}

impl fmt::Debug for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerAddr").field(&hide_credentials(&self.url)).finish()
    }
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hide_credentials(&self.url))
    }
}
