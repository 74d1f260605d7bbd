//! The rules: which layer may import which, what the deciding code must not use, how files begin, and how long they may
//! be.

use super::floors::floors;
use super::lexer::{Token, tokens};

/// From the bottom up. A layer may import itself and those before it.
const LAYERS: [&str; 5] = ["protocol", "engine", "driver", "client", "blocking"];

/// The re-exports of the crate root, beside `lib.rs`.
const ROOT_NAMES: &str = "names.rs";

/// The guide is documentation, which may name everything. It contains no code.
const GUIDE: &str = "guide/mod.rs";

/// The broker for tests is beside the layers: it may import the protocol only.
const TESTING: &str = "testing";

/// A guest of the client: it uses names of the client and of the root, and the protocol's, but no lower layer. `floors` has the
/// rules for what is inside.
const JETSTREAM: &str = "jetstream";

/// Code without I/O, clocks, runtimes and locks.
const PURE: [&str; 6] =
    ["protocol/", "engine/", "testing/session/", "testing/jetstream/", "jetstream/wire/", "jetstream/decide/"];

/// `HeaderMap::iter` returns std's iterator over a randomly seeded map, because async-nats's does, and documents of JetStream have
/// such maps as fields, which are written in the order of their keys. Allowed nowhere else.
const MAY_HOLD_A_STD_MAP: [&str; 8] = [
    "src/protocol/headers.rs",
    "src/jetstream/wire/account.rs",
    "src/jetstream/wire/consumer_config.rs",
    "src/jetstream/wire/consumer_pull.rs",
    "src/jetstream/wire/consumer_push.rs",
    "src/jetstream/wire/lenient.rs",
    "src/jetstream/wire/stream_config.rs",
    "src/jetstream/wire/stream_info.rs",
];

/// The only places where files are read and names are looked up, on threads of our own: on the runtime they would
/// block it as long as the disk or the name server (fault B1).
const MAY_OPEN_FILES: &str = "src/driver/files.rs";
const MAY_LOOK_UP: &str = "src/driver/resolve.rs";

/// Whether two wakers wake the same task is only a hint, which may be false forever (fault A1). Here it saves a clone;
/// nothing may depend on it.
const MAY_ASK_WAKERS: [&str; 2] = ["src/driver/inbox/consumer.rs", "src/driver/mailbox/task_side.rs"];

const LONGEST_FILE: usize = 400;

/// The violations in the file `path`, given with `/` and relative to the package. One line each, `path:line: what`.
pub(crate) fn violations(path: &str, source: &str) -> Vec<String> {
    let mut found = Found { path, list: Vec::new() };
    if source.lines().next().and_then(|line| line.strip_prefix("//!")).is_none_or(|text| text.trim().is_empty()) {
        found.push(1, "the first line must be a `//!` charter: the purpose of the file".to_owned());
    }
    let lines = source.lines().count();
    if lines > LONGEST_FILE {
        found.push(lines, format!("{lines} lines, at most {LONGEST_FILE} are allowed: split it"));
    }
    let tokens = tokens(source);
    let_chains(&mut found, &tokens);
    if let Some(inside) = path.strip_prefix("src/") {
        arrows(&mut found, inside, &tokens);
        for (line, what) in floors(inside, &tokens) {
            found.push(line, what);
        }
        // Unit tests may shuffle and sort freely: they decide nothing.
        let test = inside.ends_with("/tests.rs") || inside.contains("/tests/");
        if !test && !inside.starts_with("testing/") {
            blocking(&mut found, inside, &tokens);
        }
        if !test && PURE.iter().any(|folder| inside.starts_with(folder)) {
            purity(&mut found, &tokens);
        }
    }
    found.list
}

struct Found<'a> {
    path: &'a str,
    list: Vec<String>,
}

impl Found<'_> {
    fn push(&mut self, line: usize, what: String) {
        self.list.push(format!("{}:{line}: {what}", self.path));
    }
}

/// Paths that name a module of this crate, absolutely or by enough `super`s, must point downwards.
fn arrows(found: &mut Found<'_>, inside: &str, tokens: &[Token]) {
    let mut module: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    if matches!(module.last(), Some(&("mod" | "lib"))) {
        module.pop();
    }
    let Some(&layer) = module.first() else { return };
    // The root's names are above all layers.
    if inside == ROOT_NAMES {
        return;
    }
    if inside == GUIDE {
        let items = ["fn", "struct", "enum", "trait", "impl", "const", "static", "macro_rules"];
        if let Some(code) = tokens.iter().find(|token| items.iter().any(|item| token.is(item))) {
            found.push(code.line, "the guide contains documentation only".to_owned());
        }
        return;
    }
    let rank = LAYERS.iter().position(|name| *name == layer);
    if rank.is_none() && layer != TESTING && layer != JETSTREAM {
        return found.push(
            1,
            format!(
                "`{layer}` is not a layer: bytes → protocol, decisions → engine, waiting → driver, the API → client"
            ),
        );
    }
    let test_code = test_code(inside, tokens);
    // The depth of open inline modules, to resolve `super`, with the brace depth of each.
    let (mut depth, mut inline): (usize, Vec<usize>) = (0, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let here = &tokens[at..];
        if here[0].is("{") {
            depth += 1;
            if at >= 2 && tokens[at - 2].is("mod") {
                inline.push(depth);
            }
        } else if here[0].is("}") {
            if inline.last() == Some(&depth) {
                inline.pop();
            }
            depth = depth.saturating_sub(1);
        }
        // A path inside a path (`self::super`, `x::crate`) is not a beginning.
        let begins = at == 0 || !tokens[at - 1].is("::");
        let supers =
            here.chunks(2).take_while(|pair| pair.len() == 2 && pair[0].is("super") && pair[1].is("::")).count();
        let to_root = if here[0].is("crate") && here.get(1).is_some_and(|next| next.is("::")) {
            Some(2)
        } else if begins && supers > 0 && supers >= module.len() + inline.len() {
            Some(2 * supers)
        } else {
            None
        };
        if let Some(skipped) = to_root {
            for (line, name) in names(&tokens[at + skipped..]) {
                let target = LAYERS.iter().position(|other| *other == name);
                let in_test = test_code.get(at).copied().unwrap_or(false);
                let allowed = match layer {
                    // Names of the root, such as `crate::Error`, belong to the upper two layers.
                    "client" => (name != TESTING || in_test) && name != "blocking" && name != JETSTREAM,
                    JETSTREAM => (name != TESTING || in_test) && !["engine", "driver", "blocking"].contains(&name),
                    "blocking" => name != TESTING || in_test,
                    "driver" if name == TESTING => in_test,
                    TESTING => name == "protocol" || name == TESTING,
                    _ => target.is_some_and(|target| Some(target) <= rank),
                };
                if !allowed {
                    found.push(line, format!("`{layer}` must not name `crate::{name}`: imports point downwards only"));
                }
            }
            at += skipped;
        } else {
            if here[0].is("nats_lifeline")
                || (here[0].is("crate") && here.get(1).is_some_and(|next| next.is("as") || next.is(";")))
            {
                found.push(here[0].line, "this crate under another name hides where an import points".to_owned());
            }
            at += if supers > 0 { 2 * supers } else { 1 };
        }
    }
}

/// For each token, whether it is inside an item marked `#[cfg(test)]`; in a file of tests, all of them are.
fn test_code(inside: &str, tokens: &[Token]) -> Vec<bool> {
    let file_of_tests = inside.ends_with("/tests.rs") || inside.contains("/tests/");
    let mut marked = vec![file_of_tests; tokens.len()];
    let cfg_test = ["#", "[", "cfg", "(", "test", ")", "]"];
    for start in 0..tokens.len() {
        if !cfg_test.iter().enumerate().all(|(at, text)| tokens.get(start + at).is_some_and(|token| token.is(text))) {
            continue;
        }
        let mut depth = 0;
        for at in start + cfg_test.len()..tokens.len() {
            marked[at] = true;
            depth += i32::from(tokens[at].is("{")) - i32::from(tokens[at].is("}"));
            if depth == 0 && (tokens[at].is("}") || tokens[at].is(";")) {
                break;
            }
        }
    }
    marked
}

/// The names with which a path continues: `a::b` has one, `{a::b, c}` has two, `*` is one. The braces are those of
/// `use`, which contain names only.
pub(crate) fn names(tokens: &[Token]) -> Vec<(usize, &str)> {
    let Some(first) = tokens.first() else { return Vec::new() };
    if let Some(name) = first.word() {
        return vec![(first.line, name)];
    }
    if !first.is("{") {
        return vec![(first.line, "*")];
    }
    let (mut list, mut depth) = (Vec::new(), 0);
    for at in 0..tokens.len() {
        let token = &tokens[at];
        if token.is("{") {
            depth += 1;
        } else if token.is("}") {
            depth -= 1;
            if depth == 0 {
                break;
            }
        } else if depth == 1 && (tokens[at - 1].is("{") || tokens[at - 1].is(",")) {
            list.push((token.line, token.word().unwrap_or("*")));
        }
    }
    list
}

/// Code on the runtime must not wait for disks and name servers, nor for two wakers to be equal.
fn blocking(found: &mut Found<'_>, inside: &str, tokens: &[Token]) {
    let test_code = test_code(inside, tokens);
    let path = found.path;
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| !test_code[*at]) {
        let after = |n: usize, text: &str| tokens.get(at + n).is_some_and(|token| token.is(text));
        match token.word() {
            Some("std" | "tokio") if after(1, "::") => {
                for (line, _) in names(&tokens[at + 2..]).iter().filter(|(_, name)| *name == "fs") {
                    if path != MAY_OPEN_FILES {
                        found.push(*line, format!("files are read in {MAY_OPEN_FILES} only, on a thread of our own"));
                    }
                }
            }
            Some("pem_file_iter" | "from_pem_file") => {
                found.push(token.line, format!("files are read in {MAY_OPEN_FILES} only: parse their content"));
            }
            Some("will_wake") if !MAY_ASK_WAKERS.contains(&path) => {
                found.push(token.line, "`will_wake` is a hint that may be false forever: keep the waker".to_owned());
            }
            Some("to_socket_addrs" | "ToSocketAddrs" | "lookup_host") if path != MAY_LOOK_UP => {
                found.push(token.line, format!("names are looked up in {MAY_LOOK_UP} only, on a thread of our own"));
            }
            _ => {}
        }
    }
}

/// Deciding code has no runtime, no clock, no sockets, no locks, and no randomness except the given seed.
fn purity(found: &mut Found<'_>, tokens: &[Token]) {
    for at in 0..tokens.len() {
        let token = &tokens[at];
        let Some(word) = token.word() else { continue };
        let after = |n: usize, text: &str| tokens.get(at + n).is_some_and(|token| token.is(text));
        let before = |n: usize, text: &str| at >= n && tokens[at - n].is(text);
        let what = match word {
            "tokio" => Some("`tokio`: no runtime here"),
            "SystemTime" => Some("`SystemTime`: time is an argument"),
            "now" if before(1, "::") => Some("`::now`: time is an argument"),
            "elapsed" if before(1, ".") || before(1, "::") => {
                Some("`elapsed` reads the clock: subtract from the given `now`")
            }
            "Instant" if after(1, "as") => Some("`Instant` under another name hides where a clock is read"),
            "thread_rng" => Some("`thread_rng`: randomness comes from the seed"),
            "RandomState" => Some("`RandomState`: nothing here may depend on a random seed"),
            "HashMap" | "HashSet" if !MAY_HOLD_A_STD_MAP.contains(&found.path) => std_hasher(word, &tokens[at + 1..]),
            _ => None,
        };
        if let Some(what) = what {
            found.push(token.line, what.to_owned());
        }
        let names = if after(1, "::") { names(&tokens[at + 2..]) } else { Vec::new() };
        let root = !before(1, "::") || at == 1 || tokens[at - 2].word().is_none();
        match word {
            "std" | "core" | "alloc" if root => {
                for (line, name) in &names {
                    match *name {
                        "net" if word == "std" => {
                            found.push(
                                *line,
                                "`std::net`: no I/O here (addresses as values are in `core::net`)".to_owned(),
                            );
                        }
                        "sync" => {
                            let sync = tokens[at..].iter().position(|token| token.is("sync")).unwrap_or(0);
                            shared_state(found, &tokens[at + sync..]);
                        }
                        "*" => found.push(*line, format!("`{word}::*` hides what is used")),
                        _ => {}
                    }
                }
            }
            "rand" if root => {
                for (line, name) in names.iter().filter(|(_, name)| matches!(*name, "rng" | "random" | "*")) {
                    found.push(*line, format!("`rand::{name}`: randomness comes from the seed"));
                }
            }
            _ => {}
        }
    }
}

/// The names imported from `std::sync`, where `tokens` begin with `sync`.
fn shared_state(found: &mut Found<'_>, tokens: &[Token]) {
    let taken = if tokens.get(1).is_some_and(|next| next.is("::")) { names(&tokens[2..]) } else { Vec::new() };
    let line = tokens.first().map_or(1, |token| token.line);
    if taken.is_empty() {
        found.push(line, "`std::sync` by itself hides what is used".to_owned());
    }
    for (line, name) in taken {
        if !matches!(name, "Arc" | "OnceLock") {
            found.push(line, format!("`std::sync::{name}`: only `Arc` and `OnceLock` have no shared state"));
        }
    }
}

/// Whether this use of a map takes the default, randomly seeded hasher; `after` are the tokens after its name.
fn std_hasher(name: &str, after: &[Token]) -> Option<&'static str> {
    const WHAT: &str =
        "a map with the default hasher iterates in random order: a BTreeMap, or a hasher with a fixed seed";
    let is = |at: usize, text: &str| after.get(at).is_some_and(|token| token.is(text));
    if is(0, "as") {
        return Some(WHAT);
    }
    let generics = if is(0, "<") {
        &after[1..]
    } else if is(0, "::") && is(1, "<") {
        &after[2..]
    } else {
        // These exist for the default hasher only. `default` and `collect` need an explicit type somewhere.
        let makes = ["new", "with_capacity", "from"];
        return (is(0, "::") && makes.iter().any(|make| is(1, make))).then_some(WHAT);
    };
    let (mut depth, mut parameters, mut open) = (0, 1, false);
    for (at, token) in generics.iter().enumerate() {
        if token.is("<") || token.is("(") || token.is("[") {
            depth += 1;
        } else if token.is(">") || token.is(")") || token.is("]") {
            if depth == 0 {
                // A trailing comma adds no parameter.
                open = at > 0 && generics[at - 1].is(",");
                break;
            }
            depth -= 1;
        } else if token.is(",") && depth == 0 {
            parameters += 1;
        }
    }
    let parameters = parameters - usize::from(open);
    let with_hasher = if name == "HashMap" { 3 } else { 2 };
    (parameters < with_hasher).then_some(WHAT)
}

/// `if let … && …` needs Rust 1.88; clippy's `incompatible_msrv` checks the library, but not the syntax.
fn let_chains(found: &mut Found<'_>, tokens: &[Token]) {
    for at in 0..tokens.len() {
        if !tokens[at].is("if") && !tokens[at].is("while") {
            continue;
        }
        let (mut depth, mut lets, mut ands) = (0, 0, 0);
        // Between `let` and `=`, a brace belongs to a pattern such as `Point { x, .. }`.
        let mut in_pattern = false;
        for (before, token) in tokens[at..].iter().zip(&tokens[at + 1..]) {
            if depth == 0 && !in_pattern && (token.is("{") || token.is("=>") || token.is(";")) {
                break;
            }
            if token.is("(") || token.is("[") || token.is("{") {
                depth += 1;
            } else if token.is(")") || token.is("]") || token.is("}") {
                depth -= 1;
                if depth < 0 {
                    break;
                }
            } else if depth == 0 {
                in_pattern = token.is("let") || (in_pattern && (!token.is("=") || before.is(".")));
                lets += usize::from(token.is("let"));
                ands += usize::from(token.is("&&"));
            }
        }
        // `if let a = &&b` is not a chain, but so rare that it can be written differently.
        if lets > 0 && ands > 0 {
            found.push(tokens[at].line, "a chain of `let` conditions needs Rust 1.88, the MSRV is 1.85".to_owned());
        }
    }
}
