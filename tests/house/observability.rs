//! Alerts, dashboard and pages name only metrics and labels that the client reports, and the dashboard names all of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where the names of the metrics are defined.
const NAMES: &str = "src/client/metrics/names.rs";

/// The labels of the client's metrics, those of histograms, and those that Prometheus and alerts add.
const LABELS: [&str; 9] =
    ["service", "server", "subject", "type", "le", "instance", "severity", "alertname", "alertstate"];

/// Words of pages that begin like a metric.
const NO_METRICS: [&str; 2] = ["nats_lifeline", "nats_server"];

fn page(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names in the sources, as Prometheus writes them, and whether they are histograms.
fn metrics() -> BTreeSet<String> {
    let source = page(NAMES);
    let names = source.split("&str = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let names = names.filter(|name| name.starts_with("nats"));
    let mut all = BTreeSet::new();
    for name in names {
        let name = name.replace('.', "_");
        // In the sources a histogram is a duration.
        if name.ends_with("_seconds") {
            all.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
        }
        all.insert(name);
    }
    all
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The words of a text that look like metrics of the client.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c| !is_word(c));
    words.filter(|word| word.starts_with("nats_") && !NO_METRICS.contains(word)).collect()
}

/// The labels of selectors (`{type="io"}`), groupings (`by (service)`) and templates (`{{ $labels.type }}`).
fn labels(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for operator in ["=~\"", "!=\"", "!~\"", "=\"", "=~\\\"", "=\\\""] {
        let before = text.split(operator).collect::<Vec<_>>();
        let ends = before.iter().take(before.len() - 1);
        found.extend(ends.filter_map(|end| end.rsplit(|c| !is_word(c)).next()));
    }
    let groups = text.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    found.extend(groups.flat_map(|group| group.split(',').map(str::trim)));
    let templates = text.split("$labels.").skip(1);
    found.extend(templates.filter_map(|rest| rest.split(|c| !is_word(c)).next()));
    found.retain(|label| !label.is_empty());
    found
}

/// The values of the keys `key` in a JSON text.
fn values(json: &serde_json::Value, key: &str, found: &mut Vec<String>) {
    match json {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    serde_json::Value::String(text) if name == key => found.push(text.clone()),
                    value => values(value, key, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| values(item, key, found)),
        _ => {}
    }
}

// S62, S63
#[test]
fn alerts_and_dashboard_name_only_metrics_and_labels_that_exist() {
    let metrics = metrics();
    assert!(metrics.len() > 12, "the names were not read: {metrics:?}");
    for file in ["alerts.yml", "alerts_test.yml", "dashboard.json", "README.md"] {
        let text = page(&format!("examples/observability/{file}"));
        let unknown: Vec<_> = named(&text).into_iter().filter(|name| !metrics.contains(*name)).collect();
        assert!(unknown.is_empty(), "{file} names metrics that the client does not report: {unknown:?}");
        let unknown: Vec<_> = labels(&text).into_iter().filter(|label| !LABELS.contains(label)).collect();
        assert!(unknown.is_empty() || file == "README.md", "{file} uses labels that do not exist: {unknown:?}");
        assert!(named(&text).len() > 1 && (labels(&text).len() > 2 || file == "README.md"), "{file} was not read");
    }
}

// S60: a page that names a metric names one that exists
#[test]
fn pages_name_only_metrics_that_exist() {
    let metrics = metrics();
    let pages = ["src/client/metrics.rs", "src/guide/health.md", "docs/features.md", "README.md", "CHANGELOG.md"];
    let mut seen = BTreeSet::new();
    for path in pages {
        let text = page(path);
        let unknown: Vec<_> = named(&text).into_iter().filter(|name| !metrics.contains(*name)).collect();
        assert!(unknown.is_empty(), "{path} names metrics that the client does not report: {unknown:?}");
        seen.extend(named(&text).into_iter().map(str::to_owned));
    }
    assert!(seen.len() > 7, "the pages were not read: {seen:?}");
}

// S63
#[test]
fn the_dashboard_shows_every_metric() {
    let dashboard: serde_json::Value = serde_json::from_str(&page("examples/observability/dashboard.json")).unwrap();
    let mut expressions = Vec::new();
    values(&dashboard, "expr", &mut expressions);
    let shown = expressions.join("\n");
    for name in metrics().iter().filter(|name| !["_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end))) {
        assert!(shown.contains(name.as_str()), "no panel shows {name}");
    }
    // Whatever one panel leaves out, its title and its query are there.
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(panel["title"].is_string() && panel["description"].is_string(), "{panel}");
        let mut own = Vec::new();
        values(panel, "expr", &mut own);
        assert!(!own.is_empty() && own.iter().all(|expr| expr.contains("$service")), "{}: {own:?}", panel["title"]);
    }
}

// S62: no alert without a unit test and a line in the table
#[test]
fn every_alert_has_a_test_and_is_explained() {
    let alerts = page("examples/observability/alerts.yml");
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 5, "{names:?}");
    let (tests, readme) = (page("examples/observability/alerts_test.yml"), page("examples/observability/README.md"));
    for name in names {
        assert!(tests.contains(name), "{name} has no test in alerts_test.yml");
        assert!(readme.contains(&format!("| `{name}` |")), "{name} is not in the table of README.md");
    }
}

// S62: who reads an alert can't call the library
#[test]
fn what_an_alert_says_can_be_followed_from_outside_of_the_program() {
    let (alerts, readme) = (page("examples/observability/alerts.yml"), page("examples/observability/README.md"));
    let rules = alerts.lines().filter(|line| !line.trim_start().starts_with('#'));
    let rows = readme.lines().filter(|line| line.starts_with("| `Nats"));
    for line in rules.chain(rows) {
        assert!(!line.contains("::") && !line.contains("recovery log"), "this needs the program's source: {line}");
    }
}

// S62
#[test]
fn every_reason_of_a_loss_is_explained() {
    let lost = serde_json::to_value(nats_lifeline::connection::Lost::default()).unwrap();
    let delivery = page("src/guide/delivery.md");
    let table = delivery.split_once("\n# Lost, by reason\n").expect("a heading").1;
    let rows = table.lines().skip_while(|line| !line.starts_with("| `")).map_while(|line| line.strip_prefix("| `"));
    let explained: BTreeSet<&str> = rows.filter_map(|row| Some(row.split_once('`')?.0)).collect();
    let reasons: BTreeSet<&str> = lost.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(explained, reasons, "the table in delivery.md (left) and the fields of `Lost` (right) differ");
}

// S61: the containers start the example with arguments that it has
#[test]
fn the_compose_file_gives_the_service_arguments_that_it_has() {
    let (compose, args) = (page("examples/observability/compose.yml"), page("examples/service/args.rs"));
    let service = compose.split("\n  service:").nth(1).expect("the service");
    let command = service.lines().find_map(|line| line.trim().strip_prefix("command: ")).expect("its arguments");
    let flags: Vec<&str> = command.split('"').filter_map(|word| word.strip_prefix("--")).collect();
    assert!(flags.len() >= 2, "{command}");
    for flag in flags {
        assert!(args.contains(&format!(" {}: ", flag.replace('-', "_"))), "the service has no --{flag}");
    }
}

#[test]
fn names_and_labels_are_found_in_expressions() {
    let text = r#"sum by (service, le) (rate(nats_a_bucket{type=~"x|y", server!="z"}[5m])) {{ $labels.instance }} nats_lifeline"#;
    assert_eq!(named(text), BTreeSet::from(["nats_a_bucket"]));
    assert_eq!(labels(text), BTreeSet::from(["instance", "le", "server", "service", "type"]));
    assert_eq!(labels(r#"{\"service\"} a{service=~\"b\", instance=\"c\"}"#), BTreeSet::from(["instance", "service"]));
}
