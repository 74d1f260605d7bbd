//! `GetAll`: the values of one name, in their order.

use super::HeaderName;

/// The values of one name, from [`HeaderMap::get_all`](super::HeaderMap::get_all).
#[derive(Debug)]
pub struct GetAll<'a, T> {
    /// Begins with an entry of the name, or is empty.
    entries: &'a [(HeaderName, T)],
    at: usize,
}

impl<'a, T> GetAll<'a, T> {
    /// The values of the name of the first entry.
    pub(super) fn new(entries: &'a [(HeaderName, T)]) -> Self {
        Self { entries, at: 0 }
    }
}

impl<'a, T> Iterator for GetAll<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<Self::Item> {
        let (name, _) = self.entries.first()?;
        loop {
            let (present, value) = self.entries.get(self.at)?;
            self.at += 1;
            if present == name {
                return Some(value);
            }
        }
    }
}
