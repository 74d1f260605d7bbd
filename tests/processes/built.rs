//! Examples as programs: `cargo test --test processes` alone does not build them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds an example with cargo, and returns its program.
pub(crate) fn built(example: &str) -> PathBuf {
    // target/debug/deps/processes-…
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(Path::parent).expect("tests are in target/<profile>/deps");
    let target = profile.parent().expect("a profile's folder is in target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--example", example, "--target-dir"]).arg(target);
    // What cargo tells this test about its package would make build scripts run again, here and in the next build.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.starts_with(own))) {
            cargo.env_remove(name);
        }
    }
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") => {}
        Some(name) => drop(cargo.args(["--profile", name])),
        None => panic!("{} is not in a profile's folder", own.display()),
    }
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the example `{example}` could not be built:\n{errors}");
    profile.join("examples").join(example)
}
