//! How often a property is tried.

use proptest::prelude::ProptestConfig;

/// This many cases, or as many as `PROPTEST_CASES` asks for. Failures are not written to files: each becomes a test.
pub(crate) fn laws(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(asked.unwrap_or(cases)) }
}
