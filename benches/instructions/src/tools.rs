//! What the counts depend on besides the sources: compiler, valgrind, C library and processor.

use std::process::Command;

use crate::Failure;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tools {
    /// Version and commit, and the target.
    pub(crate) rustc: String,
    pub(crate) valgrind: String,
    /// Its copying and comparing are counted too.
    pub(crate) libc: String,
    /// Vectors: libraries choose their code by what the processor has.
    pub(crate) vectors: String,
}

impl Tools {
    /// Those of this machine; `None` without valgrind.
    pub(crate) fn find() -> Result<Option<Self>, Failure> {
        let Ok(valgrind) = said("valgrind", &["--version"]) else { return Ok(None) };
        let verbose = said(&std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()), &["-vV"])?;
        let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown");
        let libc = said("ldd", &["--version"]).unwrap_or_default();
        Ok(Some(Self {
            rustc: format!("{} for {}", verbose.lines().next().unwrap_or_default(), field("host: ")),
            valgrind: valgrind.trim().to_owned(),
            libc: libc.lines().next().unwrap_or("unknown").to_owned(),
            vectors: vectors().to_owned(),
        }))
    }

    /// Name and value of each.
    pub(crate) fn fields(&self) -> [(&'static str, &String); 4] {
        let Self { rustc, valgrind, libc, vectors } = self;
        [("rustc", rustc), ("valgrind", valgrind), ("libc", libc), ("vectors", vectors)]
    }
}

/// Why counts of these tools are not compared.
pub(crate) fn differ(baseline: &Tools, now: &Tools) -> String {
    let mut text =
        "NOT CHECKED: the baseline was counted with other tools, so the changes above say little.\n".to_owned();
    for ((name, then), (_, now)) in baseline.fields().into_iter().zip(now.fields()) {
        if then != now {
            text += &format!("  {name}: now {now}; baseline {then}\n");
        }
    }
    text + "To compare: check out what you compare with, run this with --renew, and come back."
}

fn said(program: &str, args: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program).args(args).output()?;
    if !output.status.success() {
        return Err(format!("{program}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    return if std::is_x86_feature_detected!("avx2") { "AVX2" } else { "SSE2" };
    #[cfg(not(target_arch = "x86_64"))]
    "the target's"
}
