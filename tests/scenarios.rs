//! The table of scenarios in `README.md` beside this file names tests that exist, and all of them.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The tests of each scenario, as the lines `// SCENARIOS n, m: remark` above them say.
fn scenarios() -> BTreeMap<u32, Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<PathBuf> = ["", "broker"]
        .iter()
        .flat_map(|name| fs::read_dir(folder.join(name)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("scenarios.rs"))
        .collect();
    files.sort();
    let mut table: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for path in files {
        let name = path.strip_prefix(&folder).unwrap().display().to_string().replace('\\', "/");
        let mut shown: Vec<u32> = Vec::new();
        for line in fs::read_to_string(&path).unwrap().lines().map(str::trim) {
            if let Some(numbers) = line.strip_prefix("// SCENARIOS ") {
                let numbers = numbers.split(':').next().unwrap_or_default();
                shown = numbers.split(',').filter_map(|number| number.trim().parse().ok()).collect();
            } else if let Some(function) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
                let function = function.split('(').next().unwrap_or_default();
                for scenario in shown.drain(..) {
                    table.entry(scenario).or_default().push(format!("`{name}` {function}"));
                }
            }
        }
    }
    table
}

#[test]
fn the_table_of_scenarios_is_right() {
    let table = scenarios();
    assert!(table.len() > 30, "the sources were not read: {} scenarios", table.len());
    let rows: Vec<String> = table.iter().map(|(row, tests)| format!("| {row} | {} |", tests.join(", "))).collect();
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/README.md")).unwrap();
    let numbered = |line: &&str| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit();
    let found: Vec<&str> = readme.lines().filter(numbered).collect();
    assert!(found == rows, "the table in tests/README.md should be:\n{}", rows.join("\n"));
    let untested = readme.lines().find_map(|line| line.strip_prefix("Without a test of its own: ")).unwrap_or_default();
    for number in untested.trim_end_matches('.').split(", ").filter_map(|number| number.parse().ok()) {
        assert!(!table.contains_key(&number), "scenario {number} has a test, and is listed as untested");
    }
}
