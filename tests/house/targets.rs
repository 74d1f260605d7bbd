//! Every test file belongs to a target. Cargo finds none automatically here, so a forgotten one would never run. And
//! the targets that pages and comments name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The targets in Cargo.toml, each with its root file.
fn targets(root: &Path) -> Vec<PathBuf> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let sections = manifest.split("[[test]]\n").skip(1);
    let names = sections.map(|section| section.lines().find_map(|line| line.strip_prefix("name = ")).unwrap());
    let begins = names.map(|name| {
        let file = root.join("tests").join(name.trim_matches('"'));
        if file.is_dir() { file.join("main.rs") } else { file.with_extension("rs") }
    });
    begins.collect()
}

/// The name in `mod name;`, with or without a visibility.
fn module(line: &str) -> Option<&str> {
    let (visibility, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
    let is_name = name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    (is_name && (visibility.is_empty() || visibility.starts_with("pub"))).then_some(name)
}

/// Adds `file` and every file that belongs to it by `mod name;`. If a file `owns_folder`, they are beside it: a root, a
/// `mod.rs`, and files that are named by their path.
fn follow(file: &Path, owns_folder: bool, found: &mut BTreeSet<PathBuf>) {
    let file = file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    if !found.insert(file.clone()) {
        return;
    }
    let folder = file.parent().unwrap();
    let below = if owns_folder || file.ends_with("mod.rs") { folder.to_owned() } else { file.with_extension("") };
    let source = fs::read_to_string(&file).unwrap();
    let mut path = None;
    for line in source.lines().map(str::trim) {
        if let Some(given) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            path = Some(folder.join(given));
        } else if let Some(name) = module(line) {
            let beside = below.join(name).with_extension("rs");
            let inside = below.join(name).join("mod.rs");
            let default = if beside.is_file() { beside } else { inside };
            follow(path.as_deref().unwrap_or(&default), path.is_some(), found);
            path = None;
        }
    }
}

/// Every `.rs` file below `folder`, except for nested packages.
fn files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            if !path.join("Cargo.toml").is_file() {
                files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(path.canonicalize().unwrap());
        }
    }
}

#[test]
fn every_test_file_belongs_to_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut present, mut reached) = (BTreeSet::new(), BTreeSet::new());
    files(&root.join("tests"), &mut present);
    for target in targets(root) {
        follow(&target, true, &mut reached);
    }
    assert!(present.iter().any(|file| file.ends_with("house/targets.rs")), "{present:?}");
    let forgotten: Vec<_> = present.difference(&reached).collect();
    assert!(forgotten.is_empty(), "these never run: add a `mod` line to the `main.rs` of their target: {forgotten:#?}");
}

/// The arguments of `--test` in the commands that a text cites, except for those of other packages.
fn cited(text: &str) -> impl Iterator<Item = &str> {
    let commands = text.lines().filter(|line| !line.contains("--manifest-path"));
    let names = commands.flat_map(|line| line.split("--test ").skip(1));
    names.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default())
}

#[test]
fn every_target_that_is_cited_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = BTreeSet::new();
    for folder in ["src", "tests", "fuzz/src", "examples"] {
        files(&root.join(folder), &mut texts);
    }
    let pages = ["README.md", "CONTRIBUTING.md", "tests/README.md", "fuzz/README.md", "protocol-fixtures/README.md"];
    texts.extend(pages.iter().map(|page| root.join(page)));
    texts.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let targets = targets(root);
    let begins = |name: &str| [Path::new(name).join("main.rs"), Path::new(name).with_extension("rs")];
    let exists = |name: &str| targets.iter().any(|target| begins(name).iter().any(|begin| target.ends_with(begin)));
    let mut seen = 0;
    for path in texts {
        let text = fs::read_to_string(&path).unwrap();
        for name in cited(&text).filter(|name| !name.is_empty()) {
            assert!(exists(name), "{} cites `--test {name}`, but there is no such target", path.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "the texts were not read: {seen} targets are cited");
}
