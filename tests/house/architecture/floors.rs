//! The floors inside of `src/jetstream`: run → decide → error → wire, and what users see above them. Imports point downwards only.

use super::lexer::Token;
use super::rules::names;

/// From the bottom up. Everything else in the folder is above them.
const FLOORS: [&str; 4] = ["wire", "error", "decide", "run"];

/// What the lowest floor may use besides the crate's own names: the language, and crates that only convert data.
const WIRE_MAY_USE: [&str; 10] =
    ["crate", "self", "super", "core", "std", "bytes", "data_encoding", "serde", "serde_json", "thiserror"];

/// The violations in the file `inside` (relative to `src`), as line and text.
pub(crate) fn floors(inside: &str, tokens: &[Token]) -> Vec<(usize, String)> {
    let module: Vec<&str> = inside.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
    let Some((&"jetstream", below)) = module.split_first() else { return Vec::new() };
    let rank = |name: &str| FLOORS.iter().position(|floor| *floor == name);
    let Some(own) = below.first().and_then(|name| rank(name)) else { return Vec::new() };
    let mut found = Vec::new();
    let (mut depth, mut inline): (usize, Vec<usize>) = (0, Vec::new());
    for at in 0..tokens.len() {
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
        let path =
            |words: &[&str]| words.iter().zip(here).filter(|(word, token)| token.is(word)).count() == words.len();
        let begins = at == 0 || !tokens[at - 1].is("::");
        let supers =
            here.chunks(2).take_while(|pair| pair.len() == 2 && pair[0].is("super") && pair[1].is("::")).count();
        // As many `super`s as lead to `jetstream`.
        let up = module.len() - 1 + inline.len();
        let named = if path(&["crate", "::", "jetstream", "::"]) {
            names(&here[4..])
        } else if begins && supers > 0 && supers == up {
            names(&here[2 * supers..])
        } else {
            Vec::new()
        };
        for (line, name) in named {
            if rank(name).is_none_or(|floor| floor > own) {
                found.push((line, format!("`jetstream/{}` must not name `jetstream::{name}`", FLOORS[own])));
            }
        }
        if own > 0 {
            continue;
        }
        if path(&["crate", "::"]) {
            let others = names(&here[2..]).into_iter().filter(|(_, name)| !["protocol", "jetstream"].contains(name));
            found.extend(others.map(|(line, name)| (line, format!("`jetstream/wire` must not name `crate::{name}`"))));
        }
        if here[0].is("use") {
            if let Some(root) = here.get(1).and_then(Token::word).filter(|root| !WIRE_MAY_USE.contains(root)) {
                // A name that this file has: an enum or a module.
                if !declares(tokens, root) {
                    found.push((here[1].line, format!("`jetstream/wire` must not use `{root}`")));
                }
            }
        }
    }
    found
}

/// Whether the file has an item, or an import, of this name.
fn declares(tokens: &[Token], name: &str) -> bool {
    let at = |at: usize| at > 0 && ["enum", "struct", "mod"].iter().any(|kind| tokens[at - 1].is(kind));
    (0..tokens.len()).any(|place| tokens[place].is(name) && at(place))
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::*;

    #[track_caller]
    fn bad(inside: &str, code: &str, what: &str) {
        let found = floors(inside, &tokens(code));
        assert!(found.iter().any(|(_, line)| line.contains(what)), "{inside} with {code:?} gives {found:?}");
    }

    #[track_caller]
    fn good(inside: &str, code: &str) {
        assert_eq!(floors(inside, &tokens(code)), Vec::new(), "{inside} with {code:?}");
    }

    #[test]
    fn a_floor_that_names_a_higher_one_is_found() {
        bad("jetstream/wire/api.rs", "use crate::jetstream::decide::pull;", "`jetstream::decide`");
        bad("jetstream/wire/api.rs", "use super::super::{wire::Name, Context};", "`jetstream::Context`");
        bad("jetstream/wire/mod.rs", "use super::run::Pull;", "`jetstream::run`");
        bad("jetstream/wire/a/b.rs", "mod tests { use super::super::super::super::decide::x; }", "`jetstream::decide`");
        bad("jetstream/decide/pull.rs", "use crate::jetstream::{wire, run::Task};", "`jetstream::run`");
        bad("jetstream/decide/pull.rs", "use crate::jetstream::stream::Config;", "`jetstream::stream`");
        good("jetstream/decide/pull.rs", "use crate::jetstream::wire::Name; use super::fetch::Fetch;");
        good("jetstream/run/pull.rs", "use super::super::{decide, wire}; use crate::client::Client; use tokio::time;");
        good("jetstream/context.rs", "use super::run::Task; use crate::jetstream::message::Message;");
        good("client/request.rs", "use super::super::jetstream::run;");
    }

    #[test]
    fn the_lowest_floor_has_the_protocol_and_data_only() {
        bad("jetstream/wire/api.rs", "use crate::client::Client;", "`crate::client`");
        bad("jetstream/wire/api.rs", "fn f() -> crate::Error { }", "`crate::Error`");
        bad("jetstream/wire/api.rs", "use futures_core::Stream;", "`futures_core`");
        bad("jetstream/wire/api.rs", "use tracing::debug;", "`tracing`");
        good("jetstream/wire/api.rs", "use crate::protocol::{Subject, cut}; use serde::de; use super::name::Name;");
        good("jetstream/wire/api.rs", "enum Fate { A } mod tests { use Fate::A; }");
        good("jetstream/decide/pull.rs", "use crate::protocol::Subject;");
    }
}
