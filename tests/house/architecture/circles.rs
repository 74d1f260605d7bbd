//! Import circles between the modules of a layer: none of these modules can be read, tested or moved without the
//! others.

use std::collections::{BTreeMap, BTreeSet};

/// Which module of the folder `layer` imports which others, from the files' `use` items. A subfolder counts as one
/// module; the tests in a file do not count.
pub(super) fn imports(layer: &str, files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, source) in files {
        let Some(inside) = path.strip_prefix(layer) else { continue };
        let parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
        let Some((own, below)) = parts.split_first().filter(|(own, _)| !["mod", "tests"].contains(own)) else {
            continue;
        };
        let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for item in source.split("\nuse ").skip(1).filter_map(|item| item.split(';').next()) {
            let found = all.entry((*own).to_owned()).or_default();
            found.extend(named(layer, below.len(), item).into_iter().filter(|name| name != own));
        }
    }
    all
}

/// The modules of the layer that `item` of a file `depth` folders below it names.
fn named(layer: &str, depth: usize, item: &str) -> Vec<String> {
    let absolute = layer.trim_end_matches('/').replace("src/", "crate::") + "::";
    let above = "super::".repeat(depth + 1);
    let Some(rest) = item.strip_prefix(&absolute).or_else(|| item.strip_prefix(&above)) else { return Vec::new() };
    if rest.starts_with("super::") {
        return Vec::new();
    }
    let first = |path: &str| path.trim().split("::").next().unwrap_or_default().to_owned();
    match rest.strip_prefix('{') {
        Some(list) => list.trim_end_matches('}').split(',').map(first).collect(),
        None => vec![first(rest)],
    }
}

/// The modules that lie on a circle.
pub(super) fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let reached = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            next.extend(imports.get(module).into_iter().flatten().filter(|to| seen.insert(*to)));
        }
        seen.contains(from)
    };
    imports.keys().filter(|module| reached(module)).cloned().collect()
}
