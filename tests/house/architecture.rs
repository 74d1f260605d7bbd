//! Reads this crate's sources and fails if they break the rules of the house; other tests check that it can fail.

mod circles;
mod citations;
mod docs;
mod floors;
mod lexer;
mod names;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use names::{Names, inherent, listed};
use rules::violations;

/// Every `.rs` file below these folders of the package, as path and content, in order.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    let named = files.into_iter().map(|path| {
        let inside = path.strip_prefix(root).unwrap().components().map(|part| part.as_os_str().to_str().unwrap());
        (inside.collect::<Vec<_>>().join("/"), fs::read_to_string(&path).unwrap())
    });
    named.collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    if folder.is_file() {
        files.push(folder.to_owned());
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            // Nested packages build into their own folders.
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn the_sources_keep_the_rules() {
    let files = sources(&["src", "tests", "examples", "benches", "fuzz"]);
    for layer in ["src/lib.rs", "src/protocol/", "src/engine/", "src/client/", "src/jetstream/wire/"] {
        assert!(files.iter().any(|(path, _)| path.starts_with(layer)), "{layer} was not found, so nothing was checked");
    }
    let broken: Vec<String> = files.iter().flat_map(|(path, source)| violations(path, source)).collect();
    assert!(broken.is_empty(), "{} rules broken:\n{}", broken.len(), broken.join("\n"));
}

/// It is public with the feature `internals` only, which tests enable: code that users read and copy must not need it.
#[test]
fn only_simulations_and_fuzz_bodies_import_the_engine() {
    let files = sources(&["src", "tests", "examples", "benches"]);
    let may = |path: &str| {
        ["tests/simulation/", "tests/house/", "tests/release/src/lib.rs"].iter().any(|at| path.starts_with(at))
    };
    let names = |source: &str| source.contains("nats_lifeline::engine");
    assert!(files.iter().any(|(path, source)| may(path) && names(source)), "nobody names it, so nothing was checked");
    let wrong: Vec<_> =
        files.iter().filter(|(path, source)| !may(path) && names(source)).map(|(path, _)| path).collect();
    assert!(wrong.is_empty(), "the engine is named where a user could copy it: {wrong:?}");
}

#[test]
fn no_modules_of_the_engine_import_each_other_in_a_circle() {
    let imports = circles::imports("src/engine/", &sources(&["src/engine"]));
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 100, "imports were not found: {imports:?}");
    assert_eq!(circles::circles(&imports), Vec::<String>::new(), "they import each other");
}

#[test]
fn an_import_circle_is_found_in_any_spelling() {
    let file = |path: &str, code: &str| (format!("src/engine/{path}"), format!("//! A sample.\n{code}"));
    let found = |files: &[(String, String)]| circles::circles(&circles::imports("src/engine/", files));
    let outward = file("b/inner.rs", "use super::super::{c::C, d};");
    let back = file("c.rs", "use crate::engine::a::A;");
    assert_eq!(found(&[file("a.rs", "use super::b::{B, Z};"), outward.clone(), back.clone()]), ["a", "b", "c"]);
    let tested = file("a.rs", "use super::e::E;\n#[cfg(test)]\nmod tests {\nuse super::b::B;\n}");
    let inward = file("b.rs", "use self::inner::I;\nuse super::c::C;");
    assert_eq!(found(&[tested, outward, inward, back]), Vec::<String>::new());
}

/// The violations in `code` as a file at `path`, after a valid first line; without the path.
fn found(path: &str, code: &str) -> Vec<String> {
    let found = violations(path, &format!("//! A sample.\n{code}"));
    found.into_iter().map(|line| line.strip_prefix(path).unwrap().to_owned()).collect()
}

#[track_caller]
fn bad(path: &str, code: &str, what: &str) {
    let found = found(path, code);
    assert!(found.iter().any(|line| line.contains(what)), "{path} with {code:?} gives {found:?}, not {what:?}");
}

#[track_caller]
fn good(path: &str, code: &str) {
    assert_eq!(found(path, code), Vec::<String>::new(), "{path} with {code:?}");
}

#[test]
fn an_upward_import_is_found() {
    bad("src/protocol/op.rs", "use crate::engine::Engine;", ":2: `protocol` must not name `crate::engine`");
    bad("src/protocol/op.rs", "use crate::{protocol::Op, client::{self}};", "`crate::client`");
    bad("src/protocol/op.rs", "use crate::{\n  protocol::{Op, Other},\n  driver,\n};", ":4:");
    bad("src/engine/pool.rs", "fn f() { let x = crate::driver::now(); }", "`crate::driver`");
    bad("src/engine/pool.rs", "use crate::Error;", "`crate::Error`");
    bad("src/engine/pool.rs", "use crate::*;", "`crate::*`");
    bad("src/engine/pool.rs", "use crate::{*};", "`crate::*`");
    bad("src/driver/task.rs", "use crate::client::Client;", "`crate::client`");
    bad("src/engine/mod.rs", "pub(in crate::client) fn f() {}", "`crate::client`");
    good("src/client/options.rs", "use crate::{engine::Engine, protocol::Subject, driver, client::error};");
    good("src/client/options.rs", "use crate::Error;");
    bad("src/client/options.rs", "use crate::blocking::Client;", "`crate::blocking`");
    good("src/blocking/client.rs", "use crate::Error; use crate::client::Client;");
    good("src/driver/task.rs", "use crate::engine::Engine; pub(crate) fn f(x: crate::protocol::Op) {}");
    good("src/lib.rs", "pub use crate::client::Client; pub mod engine;");
}

#[test]
fn jetstream_is_a_guest_of_the_client() {
    bad("src/jetstream/run/pull.rs", "use crate::driver::Inbox;", "`jetstream` must not name `crate::driver`");
    bad("src/jetstream/context.rs", "use crate::engine::Engine;", "`crate::engine`");
    bad("src/jetstream/wire/api.rs", "use super::super::super::engine::Engine;", "`crate::engine`");
    bad("src/jetstream/context.rs", "use crate::blocking::Client;", "`crate::blocking`");
    bad("src/jetstream/wire/api.rs", "use crate::client::Client;", "`jetstream/wire` must not name `crate::client`");
    bad("src/jetstream/wire/api.rs", "use std::time::SystemTime;", "`SystemTime`");
    bad("src/jetstream/wire/api.rs", "struct S { m: HashMap<u64, u8> }", "random order");
    bad("src/client/request.rs", "use crate::jetstream::Context;", "`crate::jetstream`");
    bad("src/driver/task.rs", "use crate::jetstream::Context;", "`crate::jetstream`");
    good(
        "src/jetstream/context.rs",
        "use crate::client::Client; use crate::{Error, message}; use crate::protocol::Op;",
    );
    good("src/jetstream/wire/stream_config.rs", "struct S { m: HashMap<String, String> }");
}

#[test]
fn an_upward_import_by_super_is_found() {
    bad("src/engine/pool.rs", "use super::super::client::Client;", "`crate::client`");
    bad("src/engine/mod.rs", "use super::client::Client;", "`crate::client`");
    bad("src/engine.rs", "use super::client::Client;", "`crate::client`");
    bad("src/protocol/decoder/body.rs", "use super::super::super::{engine::Engine};", "`crate::engine`");
    bad("src/engine/pool.rs", "mod tests { use super::super::super::driver::X; }", "`crate::driver`");
    good("src/engine/pool.rs", "use super::client::Client; use super::super::protocol::Op;");
    good("src/engine/pool.rs", "mod tests { use super::super::client::X; } fn f() { super::driver(); }");
    bad("src/engine/pool.rs", "mod tests { fn f() {} } use super::super::driver::X;", "`crate::driver`");
}

#[test]
fn this_crate_by_another_name_is_found() {
    bad("src/engine/pool.rs", "use nats_lifeline::Client;", "another name");
    bad("src/engine/pool.rs", "use crate as top;", "another name");
    good("src/engine/pool.rs", "/// `nats_lifeline::Client`\npub(crate) fn f() {}");
}

#[test]
fn the_broker_for_tests_is_beside_the_layers() {
    bad("src/testing/broker.rs", "use crate::engine::Engine;", "`testing` must not name `crate::engine`");
    good("src/testing/broker.rs", "use crate::protocol::Op; use crate::testing::faults;");
    bad("src/client/request.rs", "use crate::testing::Broker;", "`crate::testing`");
    bad(
        "src/driver/task.rs",
        "#[cfg(test)] use crate::testing::Broker; use crate::testing::Broker;",
        "`crate::testing`",
    );
    bad("src/engine/pool.rs", "#[cfg(test)] mod tests { use crate::testing::Broker; }", "`crate::testing`");
    good("src/client/request.rs", "#[cfg(test)]\nmod tests { use crate::testing::Broker; fn f() {} }");
    good("src/driver/task/tests.rs", "use crate::testing::Broker;");
    bad("src/helpers.rs", "", "`helpers` is not a layer");
    bad("src/common/misc.rs", "", "`common` is not a layer");
    bad("src/guide/mod.rs", "pub fn help() {}", "documentation only");
    good("src/guide/mod.rs", "use crate::client::Stats; pub mod health {}");
}

#[test]
fn deciding_code_that_waits_or_reads_a_clock_is_found() {
    bad("src/engine/pool.rs", "use tokio::time::sleep;", ":2: `tokio`");
    bad("src/engine/pool.rs", "fn f() { ::tokio::spawn(x) }", "`tokio`");
    bad("src/engine/pool.rs", "let t = Instant::now();", "`::now`");
    bad("src/engine/pool.rs", "let t = std::time::Instant::now;", "`::now`");
    bad("src/engine/pool.rs", "use std::time::Instant as Clock;", "another name");
    bad("src/engine/pool.rs", "let t = since.elapsed();", "`elapsed`");
    bad("src/protocol/op.rs", "use std::time::{Duration, SystemTime};", "`SystemTime`");
    bad("src/engine/pool.rs", "#[cfg(test)] mod tests { fn f() { Instant::now(); } }", "`::now`");
    good("src/engine/pool.rs", "use std::time::{Duration, Instant}; fn f(now: Instant) -> Instant { now + self.now }");
    good("src/engine/pool.rs", "// tokio\n/// Instant::now()\n/* std::net */ const X: &str = \"tokio SystemTime\";");
    good("src/driver/task.rs", "use tokio::time::Instant; fn f() { Instant::now(); }");
    bad("src/testing/session/mod.rs", "use tokio::time::Instant;", "`tokio`");
    good("src/testing/node.rs", "use tokio::time::Instant;");
}

// Fault B1
#[test]
fn a_file_or_a_name_that_is_looked_up_on_the_runtime_is_found() {
    bad(
        "src/client/options/auth.rs",
        "fn f() { std::fs::read(path) }",
        ":2: files are read in src/driver/files.rs only",
    );
    bad("src/client/options/auth.rs", "use std::{fs::File, io};", "files are read");
    bad("src/driver/secure.rs", "use std::{io, fs};", "files are read");
    bad("src/driver/secure.rs", "use tokio::fs::File;", "files are read");
    bad("src/driver/secure.rs", "let a = CertificateDer::pem_file_iter(path);", "parse their content");
    bad("src/driver/dial.rs", "use std::net::ToSocketAddrs;", "names are looked up");
    bad("src/driver/dial.rs", "let a = tokio::net::lookup_host(name).await;", "names are looked up");
    good("src/driver/files.rs", "use std::fs::File;");
    good("src/driver/resolve.rs", "use std::net::ToSocketAddrs;");
    good("src/testing/node.rs", "use std::fs;");
    good("src/driver/secure.rs", "use std::io; #[cfg(test)] mod tests { use std::fs; }");
    good("src/driver/secure.rs", "fn f(fs: u8) { io::fs(fs) }");
}

// Fault A1
#[test]
fn a_comparison_of_wakers_is_found() {
    bad("src/driver/room.rs", "fn f() { while !a.will_wake(b) {} }", ":2: `will_wake` is a hint");
    good("src/driver/inbox/consumer.rs", "fn f() -> bool { a.will_wake(b) }");
}

#[test]
fn deciding_code_with_sockets_or_locks_is_found() {
    bad("src/protocol/addr.rs", "use std::net::SocketAddr;", "`std::net`");
    bad("src/protocol/addr.rs", "use std::{fmt, net::SocketAddr};", "`std::net`");
    bad("src/protocol/addr.rs", "fn f(x: ::std::net::IpAddr) {}", "`std::net`");
    bad("src/protocol/addr.rs", "use std::*;", "`std::*`");
    good("src/protocol/addr.rs", "use core::net::IpAddr; use std::{fmt, io::Result};");
    bad("src/engine/pool.rs", "use std::sync::Mutex;", "`std::sync::Mutex`");
    bad("src/engine/pool.rs", "use std::sync::{Arc, atomic::AtomicU64};", "`std::sync::atomic`");
    bad("src/engine/pool.rs", "use std::{fmt, sync::{Arc, RwLock}};", "`std::sync::RwLock`");
    bad("src/engine/pool.rs", "use core::sync::atomic::AtomicBool;", "`std::sync::atomic`");
    bad("src/engine/pool.rs", "use std::sync;", "hides what is used");
    bad("src/engine/pool.rs", "use std::sync as locks;", "hides what is used");
    bad("src/engine/pool.rs", "use std::sync::*;", "`std::sync::*`");
    good("src/engine/pool.rs", "use std::sync::Arc; use std::sync::{Arc, OnceLock}; use std::{fmt, sync::Arc};");
    good("src/client/options.rs", "use std::sync::Mutex; use std::net::SocketAddr;");
}

#[test]
fn deciding_code_with_its_own_randomness_is_found() {
    bad("src/engine/pool.rs", "let r = rand::rng();", "`rand::rng`");
    bad("src/engine/pool.rs", "use rand::{Rng, rng};", "`rand::rng`");
    bad("src/engine/pool.rs", "let x: u8 = rand::random();", "`rand::random`");
    bad("src/engine/pool.rs", "thread_rng()", "`thread_rng`");
    good("src/engine/pool.rs", "use rand::{Rng, RngExt, rngs::SmallRng}; fn f(rng: &mut SmallRng) { rng.random() }");
    for bad_map in [
        "let m = HashMap::new();",
        "let m = std::collections::HashMap::with_capacity(3);",
        "let m = HashMap::from([(1, 2)]);",
        "struct S { m: HashMap<u64, Vec<(u8, u8)>> }",
        "struct S { m: HashMap<u64, Vec<u8>,> }",
        "let m: HashSet<String> = list.collect();",
        "let m = list.collect::<HashMap<_, _>>();",
        "let m = HashMap::<u64, u64>::new();",
        "use std::collections::HashMap as Map;",
    ] {
        bad("src/engine/subscriptions.rs", bad_map, "random order");
        bad("src/protocol/header_block.rs", bad_map, "random order");
        good("src/protocol/headers.rs", bad_map);
        good("src/client/request.rs", bad_map);
    }
    bad("src/engine/pool.rs", "use std::collections::hash_map::RandomState;", "`RandomState`");
    good("src/engine/subscriptions.rs", "use std::collections::{BTreeMap, HashMap, HashSet};");
    good("src/engine/subscriptions.rs", "type Table = HashMap<u64, (Vec<u8>, u8), BuildHasherDefault<SidHasher>>;");
    good("src/engine/subscriptions.rs", "type Sids = HashSet<u64, Fixed>; let t = HashMap::default();");
}

#[test]
fn a_file_without_a_charter_is_found() {
    for source in ["", "use std::fmt;\n", "\n//! Late.\n", "//!\n", "/// Not this kind.\n", "// Nor this.\n"] {
        for path in ["src/client/x.rs", "tests/x.rs", "examples/x.rs", "benches/x.rs", "fuzz/fuzz_targets/x.rs"] {
            let found = violations(path, source);
            assert!(found.iter().any(|line| line.contains("charter")), "{path} with {source:?} gives {found:?}");
        }
    }
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let lines = |count: usize| "// x\n".repeat(count - 1);
    good("src/client/x.rs", &lines(400));
    bad("src/client/x.rs", &lines(401), "401 lines");
    bad("tests/x.rs", &lines(401), "401 lines");
}

#[test]
fn syntax_newer_than_the_msrv_is_found() {
    bad("src/client/x.rs", "fn f() { if let Some(x) = y && x > 3 { } }", "1.88");
    bad("tests/x.rs", "fn f() { if ready && let Some(x) = y { } }", "1.88");
    bad("examples/x.rs", "fn f() { while let Some(x) = y\n && x.ok() { } }", "1.88");
    bad("src/client/x.rs", "fn f() { if let Point { x, .. } = y && x > 3 { } }", "1.88");
    bad("src/client/x.rs", "fn f() { if let Point { x: 0..=3, .. } = y && ready { } }", "1.88");
    good("src/client/x.rs", "fn f() { if let Point { x, .. } = y { let z = x && ready; } }");
    good("src/client/x.rs", "fn f() { if let Some(x) = y.filter(|y| a && b) { } if a && b { let x = 1; } }");
    good("src/client/x.rs", "fn f() { match x { Some(y) if y && z => { let q = 1; } _ => {} } }");
}

#[test]
fn the_sources_are_really_read() {
    let files = sources(&["src", "tests"]);
    assert!(
        files.iter().any(|(path, source)| path == "tests/house/architecture.rs" && source.contains("are_really_read"))
    );
    assert!(files.iter().all(|(path, _)| !path.contains('\\') && !path.contains("target/")));
}

/// The types that async-nats has too, and their inherent functions, from the sources.
fn inherent_names() -> Names {
    let mut names = Names::new();
    for (_, source) in sources(&["src/client", "src/protocol", "src/driver/resolve.rs", "src/driver/statistics.rs"]) {
        inherent(&source, &mut names);
    }
    names
}

// Fault G3: no test compared the names that we add with those of the extension traits that programs use on async-nats's
// types.
#[test]
fn no_name_that_we_add_hides_a_method_of_a_known_extension_trait() {
    let known = include_str!("architecture/inherent_names.txt");
    let extensions = include_str!("architecture/extension_traits.txt");
    let mut kept: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (owner, whose, names) in listed(known) {
        for (_, extension, methods) in listed(extensions).filter(|(of, ..)| *of == owner && whose == "ours") {
            let hidden: Vec<_> = names.intersection(&methods).collect();
            assert!(hidden.is_empty(), "{owner}::{hidden:?} hides what {extension} has: choose another name");
        }
        kept.entry(owner).or_default().extend(names);
    }
    let found = inherent_names();
    for (owner, names) in kept {
        let found: BTreeSet<&str> = found.get(owner).into_iter().flatten().map(String::as_str).collect();
        let new: Vec<_> = found.difference(&names).collect();
        let gone: Vec<_> = names.difference(&found).collect();
        assert!(
            new.is_empty() && gone.is_empty(),
            "inherent_names.txt, {owner}: {new:?} are missing, {gone:?} are gone"
        );
    }
}

#[test]
fn inherent_functions_are_found_and_others_are_not() {
    let source = "
        impl<K: Into<u8>> Error<K> where K: Copy { pub const fn kind(&self) -> K { fn inner() {} } }
        impl Client { pub async fn a() {} pub(crate) fn b() {} fn c() {} #[doc = \"pub fn d\"] pub unsafe fn e() {} }
        impl traits::Publisher for Client { pub fn f() {} }
        pub fn g() {} mod tests { impl super::Client { pub fn h() {} } }";
    let mut names = Names::new();
    inherent(source, &mut names);
    let found: Vec<String> = names.iter().map(|(owner, names)| format!("{owner} {names:?}")).collect();
    assert_eq!(found, ["Client {\"a\", \"e\", \"h\"}", "Error {\"kind\"}"]);
}
