//! The weight of the crate: README states how many crates a build needs, and `cargo tree` counts about as many.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The crates that a dependent builds, without this one, on Linux, where most programs run. Two versions of a crate
/// count as two.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .args(features)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let mut crates: BTreeSet<_> = lines.lines().filter(|line| !line.is_empty()).map(name_and_version).collect();
    assert!(crates.remove(concat!("nats-lifeline v", env!("CARGO_PKG_VERSION"))), "{crates:?}");
    crates
}

/// The two numbers in README.
fn stated(readme: &str) -> Option<(usize, usize)> {
    let (_, rest) = readme.split_once("It depends on about ")?;
    let (all, rest) = rest.split_once(" crates, directly and indirectly, or about ")?;
    let (bare, _) = rest.split_once(" without default features.")?;
    Some((all.parse().ok()?, bare.parse().ok()?))
}

/// How far README may be off: a new version of a dependency may split a crate or drop one.
const ABOUT: usize = 3;

#[test]
fn readme_states_how_many_crates_a_build_needs() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (all, bare) = (crates(&[]), crates(&["--no-default-features"]));
    let stated = stated(&readme).expect("README states the number of crates");
    let right = stated.0.abs_diff(all.len()) <= ABOUT && stated.1.abs_diff(bare.len()) <= ABOUT;
    assert!(right, "README states {stated:?}, but they are {} and {}: {all:#?}", all.len(), bare.len());
    assert!(bare.is_subset(&all), "{bare:#?} is not part of {all:#?}");
}

#[test]
fn without_features_there_is_no_cryptography_and_nothing_that_runs_a_c_compiler() {
    let bare = crates(&["--no-default-features"]);
    let heavy = ["ring ", "rustls ", "aws-lc-rs ", "aws-lc-sys ", "cc ", "cmake ", "bindgen "];
    let found: Vec<_> = bare.iter().filter(|name| heavy.iter().any(|heavy| name.starts_with(heavy))).collect();
    assert_eq!(found, Vec::<&String>::new());
}
