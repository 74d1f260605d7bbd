//! The rules in `docs/`: every citation has a row there, and everything that a row names exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::citations::{Cited, FAULTS, Name, RULES, cited, lettered};
use super::lexer::{Token, tokens};
use super::sources;

/// Folders with citations, tests and examples.
const FOLDERS: [&str; 6] = ["src", "tests", "examples", "benches", "fuzz", "docs"];

/// The extensions of the files that are read.
const KINDS: [&str; 3] = ["rs", "md", "toml"];

/// Files with samples of right and wrong citations.
const SAMPLES: [&str; 2] = ["tests/house/architecture/citations.rs", "tests/house/architecture/docs.rs"];

/// Pages that are not in the repository.
const PRIVATE: [&str; 7] = ["DECISIONS", "SCENARIOS", "DESIGN.md", "DESIGN §", "PROTOCOL §", "API.md", "FAULTS.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A row of a table in `docs/`, or a heading.
#[derive(Debug)]
struct Row {
    page: &'static str,
    name: Name,
    /// The last cell.
    shown_by: String,
}

/// The rows of `text`: lines that begin with a name of the page's kind.
fn rows(page: &'static str, text: &str, name: impl Fn(&str) -> Option<Name>) -> Vec<Row> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let first = match line.strip_prefix("### ") {
            Some(heading) => heading.split(' ').next()?,
            None => cells.first()?,
        };
        let shown_by = if line.starts_with('|') { cells.last()?.to_string() } else { String::new() };
        Some(Row { page, name: name(first)?, shown_by })
    };
    text.lines().filter_map(row).collect()
}

/// Everything that can be cited.
fn all_rows() -> Vec<Row> {
    let rule = |letters: &'static str| {
        move |word: &str| lettered(word).filter(|(l, _)| letters.contains(*l)).map(|(l, n)| Name::Rule(l, n))
    };
    let (design, scenarios, faults) = ("docs/design.md", "docs/scenarios.md", "docs/faults.md");
    let mut all = rows(design, &page(design), rule("I"));
    all.extend(rows(design, &page(design), |line| {
        Some(Name::Promise(line.split_once(". **").filter(|_| line.len() > 9)?.0.parse().ok()?))
    }));
    all.extend(rows("docs/decisions.md", &page("docs/decisions.md"), rule("D")));
    all.extend(rows("docs/features.md", &page("docs/features.md"), rule("SPN")));
    all.extend(rows(scenarios, &page(scenarios), |word| Some(Name::Scenario(word.parse().ok()?))));
    all.extend(rows(scenarios, &page(scenarios), rule("J")));
    let fault = |word: &str| lettered(word).filter(|(l, _)| FAULTS.contains(*l)).map(|(l, n)| Name::Fault(l, n));
    all.extend(rows(faults, &page(faults), fault));
    all
}

/// The files with citations, with their texts.
fn texts() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        collect(&root().join(folder), &mut paths);
    }
    // Files at the top, but not its other folders.
    paths.extend(fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()));
    paths.push(root().join(".ci/run"));
    let read = |path: PathBuf| {
        let kind = path.extension().and_then(|kind| kind.to_str());
        let wanted = kind.is_some_and(|kind| KINDS.contains(&kind)) || path.ends_with(".ci/run");
        let inside = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        (wanted && path.is_file()).then(|| (inside, fs::read_to_string(&path).unwrap()))
    };
    paths.into_iter().filter_map(read).filter(|(path, _)| !SAMPLES.contains(&path.as_str())).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if !path.is_dir() {
            paths.push(path);
        } else if path.file_name().is_some_and(|name| name != "target" && name != "corpus") {
            collect(&path, paths);
        }
    }
}

#[test]
fn every_rule_that_is_cited_exists() {
    let mut known = BTreeSet::new();
    for Row { page, name, .. } in all_rows() {
        assert!(known.insert(name), "{page}: {name} occurs twice");
    }
    // The rest of J is about what is still to come.
    for (letter, count) in [('D', 28), ('I', 10), ('J', 3), ('P', 15), ('N', 17), ('S', 73)] {
        let missing: Vec<_> = (1..=count).filter(|number| !known.contains(&Name::Rule(letter, *number))).collect();
        assert!(RULES.contains(letter) && missing.is_empty(), "missing rows of {letter}: {missing:?}");
    }
    let (mut wrong, mut seen) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for (path, text) in texts() {
        let Cited { names, bare } = cited(&text);
        let top = FOLDERS.into_iter().find(|folder| path.starts_with(folder)).unwrap_or_default();
        *seen.entry(top).or_default() += names.len();
        // The page of faults defines names that begin with J too.
        let defined = |name: &Name| path == "docs/faults.md" && matches!(name, Name::Rule('J', _));
        let unknown = names.iter().filter(|(_, name)| !known.contains(name) && !defined(name));
        wrong.extend(unknown.map(|(line, name)| format!("{path}:{line}: docs/ has no {name}")));
        let fault = |word: &str| lettered(word).map(|(letter, number)| Name::Fault(letter, number));
        let faults = bare.iter().filter(|(_, word)| fault(word).is_some_and(|name| known.contains(&name)));
        // The page of faults defines these names.
        if path != "docs/faults.md" {
            wrong.extend(faults.map(|(line, word)| format!("{path}:{line}: write `fault {word}`")));
        }
        let private = PRIVATE.iter().filter(|page| text.contains(*page));
        wrong.extend(private.map(|page| format!("{path}: {page} is not a page of this repository")));
    }
    assert!(wrong.is_empty(), "{} citations are wrong:\n{}", wrong.len(), wrong.join("\n"));
    for (folder, least) in [("src", 20), ("tests", 200), ("docs", 200)] {
        assert!(seen[folder] >= least, "{folder} was not read: {seen:?}");
    }
}

/// Where each test is, by its function.
fn tests() -> BTreeMap<String, Vec<String>> {
    let mut tests = BTreeMap::<String, Vec<String>>::new();
    for (path, source) in sources(&["src", "tests"]) {
        for name in test_functions(&tokens(&source)) {
            tests.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    tests
}

/// The functions that have an attribute of the kind `#[test]` or `#[tokio::test(…)]`.
fn test_functions(tokens: &[Token]) -> Vec<&str> {
    let (mut found, mut marked, mut at) = (Vec::new(), false, 0);
    while at < tokens.len() {
        let is = |text: &str| tokens[at].is(text);
        if is("#") && tokens.get(at + 1).is_some_and(|next| next.is("[")) {
            let end = at + tokens[at..].iter().position(|token| token.is("]")).unwrap_or(0);
            let attribute = &tokens[at..end];
            let has = |word: &str| attribute.iter().any(|token| token.is(word));
            marked |= has("test") && !has("cfg") && !has("cfg_attr");
            at = end;
        } else if is("fn") {
            let name = tokens.get(at + 1).and_then(Token::word);
            found.extend(name.filter(|_| marked));
            marked = false;
        } else if !["pub", "async", "const", "(", "crate", "super", ")", "]"].into_iter().any(is) {
            marked = false;
        }
        at += 1;
    }
    found
}

/// Whether `place` is the file `path` or a folder that it is in.
fn is_at(path: &str, place: &str) -> bool {
    path.trim_end_matches(".rs").split('/').any(|part| part == place)
}

/// What the cell of a row names: what stands between backticks.
fn named(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The test that `place::function` names, as path and function.
fn test_named<'a>(tests: &'a BTreeMap<String, Vec<String>>, named: &'a str) -> Result<(&'a str, &'a str), String> {
    let (place, function) = named.split_once("::").ok_or_else(|| format!("{named} is no place::function"))?;
    let paths = tests.get(function).map(Vec::as_slice).unwrap_or_default();
    let mut there = paths.iter().filter(|path| is_at(path, place));
    match (there.next(), there.next()) {
        (Some(path), None) => Ok((path, function)),
        (None, _) => Err(format!("there is no test {named}; tests of that name: {paths:?}")),
        _ => Err(format!("{named} is in several files: {paths:?}")),
    }
}

#[test]
fn every_row_names_a_test_or_an_example_that_exists() {
    let (tests, mut wrong, mut good) = (tests(), Vec::new(), 0);
    for Row { page, name, shown_by } in all_rows() {
        let may_wait = ["docs/features.md", "docs/faults.md"].contains(&page) || matches!(name, Name::Rule('J', _));
        if matches!(name, Name::Promise(_) | Name::Rule('D', _)) || (may_wait && shown_by.starts_with("Not yet")) {
            continue;
        }
        if named(&shown_by).next().is_none() {
            wrong.push(format!("{page}, {name}: no test or example, and no `Not yet`"));
        }
        for named in named(&shown_by) {
            let fault = if named.contains("::") {
                test_named(&tests, named).err()
            } else {
                (!root().join(named).exists()).then(|| format!("there is no file {named}"))
            };
            good += usize::from(fault.is_none());
            wrong.extend(fault.map(|fault| format!("{page}, {name}: {fault}")));
        }
    }
    assert!(wrong.is_empty(), "{} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(good > 250, "the rows were not read: only {good} tests and examples");
}

/// The tests that a comment above them gives to a scenario, as path and function.
fn tests_by_scenario() -> BTreeMap<u32, BTreeSet<(String, String)>> {
    let mut by_scenario = BTreeMap::<u32, BTreeSet<_>>::new();
    for (path, source) in sources(&["src", "tests"]).into_iter().filter(|(path, _)| !SAMPLES.contains(&path.as_str())) {
        let mut shown = Vec::new();
        for line in source.lines().map(str::trim) {
            if line.starts_with("//") {
                shown.extend(cited(line).names);
            } else if let Some(function) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
                let function = function.split(['(', '<']).next().unwrap_or_default();
                for (_, name) in shown.drain(..) {
                    if let Name::Scenario(number) = name {
                        by_scenario.entry(number).or_default().insert((path.clone(), function.to_owned()));
                    }
                }
            } else if !line.starts_with('#') {
                shown.clear();
            }
        }
    }
    by_scenario
}

#[test]
fn the_tests_of_a_scenario_are_those_that_carry_its_number() {
    let (tests, mut carried, mut wrong) = (tests(), tests_by_scenario(), Vec::new());
    let mut count = 0;
    for Row { name, shown_by, .. } in all_rows() {
        let Name::Scenario(number) = name else { continue };
        let listed: BTreeSet<_> = named(&shown_by).filter_map(|named| test_named(&tests, named).ok()).collect();
        let carried = carried.remove(&number).unwrap_or_default();
        if listed != carried.iter().map(|(path, function)| (path.as_str(), function.as_str())).collect() {
            wrong.push(format!("the tests of {name} should be: {}", cell(&carried)));
        }
        count += carried.len();
    }
    assert!(wrong.is_empty(), "docs/scenarios.md differs from the comments above the tests:\n{}", wrong.join("\n"));
    assert!(carried.is_empty(), "scenarios without a row: {:?}", carried.keys());
    assert!(count > 80, "the tests were not read: {count}");
}

/// Tests as a cell names them: the file, or its folder where the file is a `main.rs` or `mod.rs`.
fn cell(tests: &BTreeSet<(String, String)>) -> String {
    let place = |path: &str| {
        let mut parts =
            path.trim_end_matches(".rs").rsplit('/').filter(|part| !["main", "mod", "tests"].contains(part));
        parts.next().unwrap_or_default().to_owned()
    };
    let cells: Vec<_> = tests.iter().map(|(path, function)| format!("`{}::{function}`", place(path))).collect();
    cells.join(", ")
}

/// The targets of a page's links to files: no addresses, anchors and names of items.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && (target.contains('/') || target.ends_with(".md")))
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut count = 0;
    for (path, text) in texts().iter().filter(|(path, _)| path.ends_with(".md")) {
        let folder = root().join(path).parent().unwrap().to_owned();
        for target in links(text) {
            let file = target.split('#').next().unwrap_or_default();
            assert!(folder.join(file).exists(), "{path}: the link to {target} leads nowhere");
            count += 1;
        }
    }
    assert!(count > 10, "the pages were not read: {count} links");
}

/// The definitions of links in a page, `[name]: target`.
fn definitions(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).collect()
}

/// The repository's page needs paths, docs.rs needs items and addresses.
#[test]
fn every_link_of_the_readme_leads_somewhere_in_the_repository_and_on_docs_rs() {
    let (readme, there) = (page("README.md"), page("src/guide/readme_links.md"));
    let (here, there) = (definitions(&readme), definitions(&there));
    assert!(here.len() > 10, "the links were not read: {here:?}");
    assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>(), "the same links");
    for (name, target) in &here {
        assert!(root().join(target).is_file(), "README: [{name}] leads to {target}");
        let same = match target.strip_prefix("src/guide/") {
            Some("mod.rs") => "guide".to_owned(),
            Some(file) => format!("guide::{}", file.trim_end_matches(".md")),
            None => format!("https://docs.rs/crate/nats-lifeline/latest/source/{target}"),
        };
        assert_eq!(there.get(name), Some(&same.as_str()), "[{name}] on docs.rs");
    }
    let inline: Vec<_> = readme.split("](").skip(1).filter(|rest| !rest.starts_with("https://")).collect();
    assert!(inline.is_empty(), "a link without a definition is dead on one of the pages: {inline:?}");
}

#[test]
fn the_paths_of_the_contributing_table_exist() {
    let text = page("CONTRIBUTING.md");
    let table = text.split("| you want to | go to |").nth(1).expect("the table of places");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 10, "the table was not read: {rows:?}");
    for row in rows {
        let is_path = |word: &&str| word.contains('/') || ["docs", "examples"].contains(word) || word.ends_with(".md");
        let paths: Vec<&str> = named(row).filter(is_path).collect();
        assert!(!paths.is_empty(), "no path in {row}");
        let gone: Vec<_> = paths.iter().filter(|path| !root().join(path).exists()).collect();
        assert!(gone.is_empty(), "CONTRIBUTING.md leads to {gone:?}, in {row}");
    }
}

#[test]
fn functions_with_a_test_attribute_are_tests() {
    let source = "
        #[test] fn a() {} #[tokio::test(flavor = \"x\")] #[ignore] pub async fn b() {} #[cfg(test)] mod m { fn c() {} }
        fn d() {} #[test] struct S; fn e() {} // #[test] fn f
        proptest! { #[test] fn g(x in y) { fn h() {} } }";
    assert_eq!(test_functions(&tokens(source)), ["a", "b", "g"]);
}

#[test]
fn a_name_in_a_row_is_one_test() {
    let tests = BTreeMap::from([("f".to_owned(), vec!["tests/x/a.rs".to_owned(), "tests/x/b.rs".to_owned()])]);
    assert_eq!(test_named(&tests, "a::f"), Ok(("tests/x/a.rs", "f")));
    for (named, fault) in [("x::f", "several"), ("c::f", "no test"), ("a::g", "no test"), ("f", "no place")] {
        assert!(test_named(&tests, named).unwrap_err().contains(fault), "{named}");
    }
    assert_eq!(named("`a::f`, `b::g` and c").collect::<Vec<_>>(), ["a::f", "b::g"]);
}
