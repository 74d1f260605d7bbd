//! Pages of long lists.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lenient::null_is_default;

/// A page of names or of infos, of streams or of consumers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Page<T> {
    /// How many items there are in all.
    #[serde(default)]
    pub total: usize,
    /// How many items were left out at the beginning.
    #[serde(default)]
    pub offset: usize,
    /// The most items of a page.
    #[serde(default)]
    pub limit: usize,
    /// The items, null if there are none.
    #[serde(default, alias = "streams", alias = "consumers", deserialize_with = "null_is_default")]
    pub items: Vec<T>,
    /// The names of those whose servers have not answered (ADR-44).
    #[serde(default, deserialize_with = "null_is_default")]
    pub missing: Vec<String>,
    /// The names of those that are offline, each with the reason (ADR-44).
    #[serde(default, deserialize_with = "null_is_default")]
    pub offline: BTreeMap<String, String>,
}

impl<T> Page<T> {
    /// Where the next page begins; `None` if this was the last one. A page without items is the last one whatever the
    /// total is, since the list may have become shorter.
    #[must_use]
    pub fn next(&self) -> Option<usize> {
        // Items whose servers have not answered are left out of a page of full length.
        let step = match self.missing.is_empty() && self.offline.is_empty() {
            true => self.items.len(),
            false => self.items.len().max(self.limit),
        };
        let next = self.offset.saturating_add(step);
        (step > 0 && next < self.total).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_at_the_total_and_where_there_are_no_items() {
        let page = |json: &str| serde_json::from_str::<Page<String>>(json).unwrap();
        assert_eq!(page(r#"{"total":3,"offset":0,"streams":["a","b"]}"#).next(), Some(2));
        assert_eq!(page(r#"{"total":3,"offset":2,"consumers":["c"]}"#).next(), None);
        assert_eq!(page(r#"{"total":3,"offset":2,"streams":null}"#).next(), None);
        assert_eq!(page("{}").next(), None);
        let silent = page(r#"{"total":300,"limit":256,"streams":["a"],"missing":["b"]}"#);
        assert_eq!(silent.next(), Some(256), "the page has 256 streams, of which one has answered");
        let offline = page(r#"{"streams":["a"],"missing":["b"],"offline":{"c":"unsupported"}}"#);
        assert_eq!((offline.missing, offline.offline["c"].as_str()), (vec!["b".to_owned()], "unsupported"));
    }
}
