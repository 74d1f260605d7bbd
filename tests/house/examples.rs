//! README names every example with what it shows, and each begins with the command that runs it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The examples in the folder: name and first lines.
fn examples() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path()) {
        let begin = if path.is_dir() { path.join("main.rs") } else { path.clone() };
        if begin.extension().is_some_and(|extension| extension == "rs") && begin.is_file() {
            let charter = fs::read_to_string(&begin).unwrap();
            let charter: Vec<&str> = charter.lines().take_while(|line| line.starts_with("//!")).collect();
            found.push((path.file_stem().unwrap().to_str().unwrap().to_owned(), charter.join("\n")));
        }
    }
    found.sort();
    found
}

/// The rows of README's table of examples: name, and what it shows.
fn rows(readme: &str) -> Vec<(&str, &str)> {
    let table = readme.split_once("| example | what it shows |\n|---|---|\n").map_or("", |(_, table)| table);
    let rows = table.lines().map_while(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    rows.collect()
}

#[test]
fn readme_has_a_line_for_every_example_and_for_nothing_else() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (rows, examples) = (rows(&readme), examples());
    let named: BTreeSet<&str> = rows.iter().map(|(name, _)| *name).collect();
    let present: BTreeSet<&str> = examples.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, present, "README's table of examples (left) and the folder `examples` (right) differ");
    assert_eq!(named.len(), rows.len(), "an example is named twice");
    for (name, what) in rows {
        assert!(what.len() > 20, "{name}: say what it shows");
    }
    for (name, charter) in examples {
        let command = charter.contains(&format!("--example {name}")) || charter.contains("`--help` lists the options");
        assert!(command, "examples/{name}: the first lines name the command that runs it, or `--help`");
    }
}

#[test]
fn the_address_of_the_repository_stands_in_the_manifest_only() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let value = |name: &str| {
        manifest.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
    };
    let address = value("repository").expect("the manifest has a repository");
    assert!(address.starts_with("https://") && value("homepage").is_some() && value("documentation").is_some());
    for page in
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "src/guide/readme_links.md", "src/lib.rs"]
    {
        let text = fs::read_to_string(root().join(page)).unwrap();
        assert!(!text.contains(address), "{page}: use a path in the repository, so that the address is in one place");
    }
}

/// The client splits a list of addresses itself, and knows that a password may contain a comma. Split by the command line, the
/// error about such an address shows a part of the password.
#[test]
fn no_example_splits_a_list_of_addresses() {
    let mut folders = vec![root().join("examples")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                assert!(!source.contains("value_delimiter"), "{}: take one string", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "only {seen} files were found");
}
