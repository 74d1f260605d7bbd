//! The programs that measure clients in other languages.

use crate::contender::Contender;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Default)]
pub(crate) struct Peers(Vec<Peer>);

struct Peer {
    contender: Contender,
    program: PathBuf,
    version: String,
}

impl Peers {
    /// Says which ones are missing.
    pub(crate) fn find(folder: Option<&Path>) -> Self {
        let mut found = Vec::new();
        for contender in Contender::ALL {
            let Some(name) = contender.program() else { continue };
            let Some(folder) = folder else {
                eprintln!("compare: {} is left out: no --peers", contender.name());
                continue;
            };
            let program = folder.join(name);
            match Command::new(&program).arg("--version").output() {
                Ok(output) if output.status.success() => {
                    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                    found.push(Peer { contender, program, version });
                }
                _ => eprintln!("compare: {} is left out: {} does not run", contender.name(), program.display()),
            }
        }
        Self(found)
    }

    pub(crate) fn program(&self, contender: Contender) -> Option<&Path> {
        self.0.iter().find(|peer| peer.contender == contender).map(|peer| peer.program.as_path())
    }

    /// Such as `nats.go 1.22.1 (go1.27.3)`.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|peer| peer.version.as_str())
    }
}
