//! `ToServerAddrs`: what converts into one or more server addresses.

use super::addr::ServerAddr;
use std::{io, iter, option, slice, vec};

/// What can be given as one or more server addresses: addresses, texts, and lists of either.
///
/// A text may itself be a list, separated by commas, as in configuration files and environment variables; each address in it
/// has its own scheme and credentials. A comma in a password should be written as `%2C`.
///
/// ```
/// use nats_lifeline::ToServerAddrs;
///
/// let servers: Vec<_> = "nats://ada:pw@one.example, tls://two.example:4333".to_server_addrs()?.collect();
/// assert_eq!((servers[0].username(), servers[1].port()), (Some("ada"), 4333));
/// assert!("one.example,".to_server_addrs().is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ToServerAddrs {
    /// The iterator over the addresses.
    type Iter: Iterator<Item = ServerAddr>;

    /// Reads the addresses.
    ///
    /// # Errors
    ///
    /// For the first part that is not an address, see [`ServerAddr`].
    fn to_server_addrs(&self) -> io::Result<Self::Iter>;
}

impl ToServerAddrs for ServerAddr {
    type Iter = option::IntoIter<ServerAddr>;

    fn to_server_addrs(&self) -> io::Result<Self::Iter> {
        Ok(Some(self.clone()).into_iter())
    }
}

impl ToServerAddrs for str {
    type Iter = vec::IntoIter<ServerAddr>;

    fn to_server_addrs(&self) -> io::Result<Self::Iter> {
        let mut addrs = Vec::new();
        read_list(self, &mut addrs)?;
        Ok(addrs.into_iter())
    }
}

impl ToServerAddrs for String {
    type Iter = vec::IntoIter<ServerAddr>;

    fn to_server_addrs(&self) -> io::Result<Self::Iter> {
        self.as_str().to_server_addrs()
    }
}

impl<T: AsRef<str>> ToServerAddrs for [T] {
    type Iter = vec::IntoIter<ServerAddr>;

    fn to_server_addrs(&self) -> io::Result<Self::Iter> {
        let mut addrs = Vec::with_capacity(self.len());
        self.iter().try_for_each(|list| read_list(list.as_ref(), &mut addrs))?;
        Ok(addrs.into_iter())
    }
}

impl<T: AsRef<str>> ToServerAddrs for Vec<T> {
    type Iter = vec::IntoIter<ServerAddr>;

    fn to_server_addrs(&self) -> io::Result<Self::Iter> {
        self.as_slice().to_server_addrs()
    }
}

/// Parses one address or a comma-separated list. A literal comma in a password is kept where that is unambiguous: a text is a
/// list if each of its parts is an address, and otherwise a single address if it is one.
fn read_list(list: &str, addrs: &mut Vec<ServerAddr>) -> io::Result<()> {
    let Some((first, rest)) = list.split_once(',') else {
        addrs.push(list.parse()?);
        return Ok(());
    };
    // `nats://ada:12,ab@host`: the part before the comma would be an address too, with a port.
    let in_password = first.contains("://")
        && !first.contains('@')
        && rest.split_once('@').is_some_and(|(user_info, _)| !user_info.contains("://"));
    let read: Result<Vec<ServerAddr>, (usize, &str)> =
        list.split(',').enumerate().map(|(at, part)| ServerAddr::read(part).map_err(|rule| (at, rule))).collect();
    match read {
        Ok(read) if !in_password => addrs.extend(read),
        read => match (list.parse(), read) {
            (Ok(one), _) => addrs.push(one),
            (Err(_), Ok(read)) => addrs.extend(read),
            // The whole text is named, because a part may be half of a password.
            (Err(_), Err((at, rule))) => return Err(ServerAddr::refuse_list(list, at + 1, rule)),
        },
    }
    Ok(())
}

impl<'a> ToServerAddrs for &'a [ServerAddr] {
    type Iter = iter::Cloned<slice::Iter<'a, ServerAddr>>;

    fn to_server_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl ToServerAddrs for Vec<ServerAddr> {
    type Iter = vec::IntoIter<ServerAddr>;

    fn to_server_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.clone().into_iter())
    }
}

impl<T: ToServerAddrs + ?Sized> ToServerAddrs for &T {
    type Iter = T::Iter;

    fn to_server_addrs(&self) -> io::Result<Self::Iter> {
        (**self).to_server_addrs()
    }
}
