//! `HeaderMap`: ordered, shared copy-on-write, parsed on first use, with its wire form cached.

use super::header_block::{self, HeaderError};
use super::header_name::{HeaderName, IntoHeaderName};
use super::header_text::Given;
use super::header_value::{HeaderValue, IntoHeaderValue};
use bytes::Bytes;
use core::fmt;
use core::hash::BuildHasherDefault;
use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Iter};
use std::sync::{Arc, OnceLock};

mod get_all;
mod inner;
#[cfg(test)]
mod tests;
mod written;

pub use get_all::GetAll;
use inner::{Inner, Source};
use written::Written;

type Entry = (HeaderName, HeaderValue);
/// A fixed hasher: [`HeaderMap::iter`] gives the same order for the same names in every run.
type ByName = HashMap<HeaderName, Vec<HeaderValue>, BuildHasherDefault<DefaultHasher>>;

static NO_NAMES: ByName = HashMap::with_hasher(BuildHasherDefault::new());

/// The headers of a message: names with one or more values each.
///
/// A clone is a pointer; a change copies first if there are other clones. The order of the entries is kept, on receipt and for
/// sending. A received map is parsed when it is first looked at, so headers that are not used cost nothing, and a malformed
/// block is still delivered: [`is_malformed`](Self::is_malformed), [`raw`](Self::raw).
///
/// ```
/// use nats_lifeline::protocol::HeaderMap;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("Trace", "1");
/// headers.append("Hop", "a");
/// headers.append("Hop", "b");
/// assert_eq!(headers.get("Hop").map(|value| value.as_str()), Some("a"));
/// assert_eq!(headers.get_all("Hop").count(), 2);
/// assert_eq!(headers.wire(), "NATS/1.0\r\nTrace: 1\r\nHop: a\r\nHop: b\r\n\r\n");
///
/// assert!(headers.remove("Hop"));
/// assert_eq!(headers.len(), 1);
/// ```
#[derive(Clone, Default)]
pub struct HeaderMap(Option<Arc<Inner>>);

impl HeaderMap {
    /// An empty map. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(None)
    }

    /// The headers of a received message, from the block on the wire, such as [`MsgOp::headers`](super::MsgOp::headers).
    ///
    /// Never fails, and parses nothing yet. Of a malformed block, the entries that could be parsed are there, and
    /// [`malformed`](HeaderMap::malformed) returns what was wrong.
    ///
    /// ```
    /// use nats_lifeline::protocol::HeaderMap;
    ///
    /// let headers = HeaderMap::from_wire("NATS/1.0\r\nId: 17\r\nno colon\r\n\r\n".into());
    /// assert_eq!(headers.get("Id").map(|id| id.as_str()), Some("17"));
    /// assert!(headers.is_malformed());
    /// ```
    #[must_use]
    pub fn from_wire(block: Bytes) -> Self {
        if block.is_empty() {
            return Self(None);
        }
        let read = OnceLock::new();
        Self(Some(Arc::new(Inner { source: Source::Received { raw: block, read }, ..Inner::default() })))
    }

    /// The block as received, including the status line; `None` for a map that was made or changed here.
    #[must_use]
    pub fn raw(&self) -> Option<&Bytes> {
        match &self.0.as_ref()?.source {
            Source::Received { raw, .. } => Some(raw),
            Source::Made(_) | Source::Written(_) => None,
        }
    }

    /// Whether the received block was malformed. The entries that could be parsed are there.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.malformed().is_some()
    }

    /// The first thing that was wrong with the received block.
    #[must_use]
    pub fn malformed(&self) -> Option<HeaderError> {
        match &self.0.as_ref()?.source {
            Source::Received { raw, read } => Inner::read(raw, read).fault,
            Source::Made(_) | Source::Written(_) => None,
        }
    }

    /// All entries in their order on the wire, including repeated names.
    pub fn entries(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.as_slice().iter().map(|(name, value)| (name, value))
    }

    /// All names, each with its values, in an order of its own.
    ///
    /// The first call builds a `HashMap`, which this signature requires; [`Self::entries`] doesn't.
    pub fn iter(&self) -> Iter<'_, HeaderName, Vec<HeaderValue>> {
        let Some(inner) = &self.0 else {
            return NO_NAMES.iter();
        };
        let by_name = inner.by_name.get_or_init(|| {
            let mut by_name = Box::<ByName>::default();
            for (name, value) in inner.entries() {
                by_name.entry(name.clone()).or_default().push(value.clone());
            }
            by_name
        });
        by_name.iter()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled().is_none()
    }

    /// The number of different names.
    #[must_use]
    pub fn len(&self) -> usize {
        let entries = self.as_slice();
        if entries.len() < 2 {
            return entries.len();
        }
        let mut names: Vec<&[u8]> = entries.iter().map(|(name, _)| name.as_bytes()).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// Sets the value of a name, replacing all its values.
    ///
    /// # Panics
    ///
    /// On text that is no header name or value; make the types with [`str::parse`] to get an error
    /// instead.
    pub fn insert<K: IntoHeaderName, V: IntoHeaderValue>(&mut self, name: K, value: V) {
        name.give(|name| {
            value.give(|value| {
                if !self.write(&name, &value, true) {
                    self.replace(name, value);
                }
            });
        });
    }

    /// Adds a value to a name.
    ///
    /// # Panics
    ///
    /// On text that is no header name or value; make the types with [`str::parse`] to get an error
    /// instead.
    pub fn append<K: IntoHeaderName, V: IntoHeaderValue>(&mut self, name: K, value: V) {
        name.give(|name| {
            value.give(|value| {
                if !self.write(&name, &value, false) {
                    push(self.change(), name, value);
                }
            });
        });
    }

    /// Removes a name with all its values. Returns whether it was there.
    pub fn remove<K: IntoHeaderName>(&mut self, key: K) -> bool {
        key.with_text(|name| {
            if !self.as_slice().iter().any(|(present, _)| present.as_bytes() == name.as_bytes()) {
                return false;
            }
            self.change().retain(|(present, _)| present.as_bytes() != name.as_bytes());
            true
        })
    }

    /// The first value of a name. Case matters.
    pub fn get<K: IntoHeaderName>(&self, key: K) -> Option<&HeaderValue> {
        let entries = self.as_slice();
        key.with_text(|name| entries.iter().find(|entry| entry.0.as_bytes() == name.as_bytes())).map(|(_, value)| value)
    }

    /// The last value of a name. Case matters.
    pub fn get_last<K: IntoHeaderName>(&self, key: K) -> Option<&HeaderValue> {
        let entries = self.as_slice();
        key.with_text(|name| entries.iter().rfind(|entry| entry.0.as_bytes() == name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// All values of a name in their order. Case matters.
    pub fn get_all<K: IntoHeaderName>(&self, key: K) -> GetAll<'_, HeaderValue> {
        let entries = self.as_slice();
        // The iterator borrows the name from its first entry: nothing is copied.
        let first = key.with_text(|name| entries.iter().position(|e| e.0.as_bytes() == name.as_bytes()));
        GetAll::new(first.and_then(|first| entries.get(first..)).unwrap_or(&[]))
    }

    /// The block for sending, from `NATS/1.0` to the empty line; kept until the map is changed, so a second call and a call on
    /// a clone cost nothing. Empty for a map without entries, which is published without headers.
    ///
    /// A received block that is well-formed and has no status is sent unchanged, including bytes that are not UTF-8; any other
    /// is written again from its entries.
    #[must_use]
    pub fn wire(&self) -> Bytes {
        let Some(inner) = self.filled() else {
            return Bytes::new();
        };
        match inner.sendable_raw() {
            Some(raw) => raw.clone(),
            None => inner.made_wire().clone(),
        }
    }

    /// Length of [`Self::wire`] in bytes, without making it.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        let Some(inner) = self.filled() else {
            return 0;
        };
        match inner.block() {
            Some(block) => block.len(),
            None => header_block::written_len(inner.entries()),
        }
    }

    /// Appends [`Self::wire`] to a buffer without keeping it: cheaper for a map that is sent once.
    pub fn write_wire(&self, out: &mut Vec<u8>) {
        let Some(inner) = self.filled() else { return };
        match inner.block() {
            Some(block) => out.extend_from_slice(block),
            None => header_block::write(out, inner.entries()),
        }
    }

    /// [`Self::wire`], borrowed; `None` for a map without entries.
    #[inline]
    pub(crate) fn block(&self) -> Option<&[u8]> {
        let inner = self.filled()?;
        Some(inner.block().unwrap_or_else(|| inner.made_wire()))
    }

    /// The inner map, if it has an entry.
    #[inline]
    fn filled(&self) -> Option<&Inner> {
        self.0.as_deref().filter(|inner| !inner.is_empty())
    }

    /// Every name with its values, names in the order of their first entry.
    pub(super) fn grouped(&self) -> Vec<(&HeaderName, Vec<&HeaderValue>)> {
        let mut place: HashMap<&[u8], usize, BuildHasherDefault<DefaultHasher>> = HashMap::default();
        let mut groups: Vec<(&HeaderName, Vec<&HeaderValue>)> = Vec::new();
        for (name, value) in self.as_slice() {
            let at = *place.entry(name.as_bytes()).or_insert(groups.len());
            match groups.get_mut(at) {
                Some((_, values)) => values.push(value),
                None => groups.push((name, vec![value])),
            }
        }
        groups
    }

    fn as_slice(&self) -> &[Entry] {
        match &self.0 {
            Some(inner) => inner.entries(),
            None => &[],
        }
    }

    /// Adds an entry to the wire form, if this map is kept in it; `once`: if there is none of that name.
    #[inline]
    fn write(&mut self, name: &Given<'_, HeaderName>, value: &Given<'_, HeaderValue>, once: bool) -> bool {
        let (Some(name), Some(value)) = (name.sendable(), value.sendable()) else { return false };
        let Some(shared) = &mut self.0 else {
            let Some(written) = Written::begin(name, value) else { return false };
            let source = Source::Written(written);
            self.0 = Some(Arc::new(Inner { source, wire: OnceLock::new(), by_name: OnceLock::new() }));
            return true;
        };
        let Source::Written(written) = &shared.source else { return false };
        if !written.takes(name, value) || (once && written.has(name)) {
            return false;
        }
        let inner = Arc::make_mut(shared);
        inner.wire.take();
        inner.by_name.take();
        if let Source::Written(written) = &mut inner.source {
            written.push(name, value);
        }
        true
    }

    fn replace(&mut self, name: Given<'_, HeaderName>, value: Given<'_, HeaderValue>) {
        let entries = self.change();
        let is_name = |entry: &Entry| entry.0.as_bytes() == name.as_bytes();
        let Some(first) = entries.iter().position(is_name) else {
            return push(entries, name, value);
        };
        let mut at = 0;
        entries.retain(|entry| {
            at += 1;
            at <= first + 1 || !is_name(entry)
        });
        if let Some((_, present)) = entries.get_mut(first) {
            present.fill(value);
        }
    }

    /// The entries for a change: not shared, and with no cache that depends on them.
    fn change(&mut self) -> &mut Vec<Entry> {
        let inner = Arc::make_mut(self.0.get_or_insert_with(Arc::default));
        inner.wire.take();
        inner.by_name.take();
        let entries = match &mut inner.source {
            Source::Made(_) => None,
            Source::Written(written) => Some(written.take_entries()),
            Source::Received { raw, read } => Some(read.take().unwrap_or_else(|| header_block::read(raw)).entries),
        };
        if let Some(entries) = entries {
            inner.source = Source::Made(entries);
        }
        match &mut inner.source {
            Source::Made(entries) => entries,
            _ => unreachable!("turned into `Made` above"),
        }
    }
}

/// Everything that can panic was done by the caller that gives name and value, so no blank entry remains.
#[inline]
fn push(entries: &mut Vec<Entry>, name: Given<'_, HeaderName>, value: Given<'_, HeaderValue>) {
    entries.push((HeaderName::blank(), HeaderValue::blank()));
    if let Some(entry) = entries.last_mut() {
        entry.0.fill(name);
        entry.1.fill(value);
    }
}

impl PartialEq for HeaderMap {
    /// The same names with the same values in the same order each; the order of the names does not matter.
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.as_slice(), other.as_slice());
        ours == theirs || (ours.len() == theirs.len() && sorted(ours) == sorted(theirs))
    }
}

/// By name; the values of one name keep their order.
fn sorted(entries: &[Entry]) -> Vec<&Entry> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    sorted
}

impl Eq for HeaderMap {}

impl fmt::Debug for HeaderMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.entries().map(|(name, value)| (name.as_str(), value.as_str()));
        f.debug_map().entries(texts).finish()
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for HeaderMap {
    /// As with [`HeaderMap::insert`], a repeated name replaces its value.
    fn from_iter<T: IntoIterator<Item = (HeaderName, HeaderValue)>>(iter: T) -> Self {
        let mut map = Self::new();
        for (name, value) in iter {
            map.insert(name, value);
        }
        map
    }
}
