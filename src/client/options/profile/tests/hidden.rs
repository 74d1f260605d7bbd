//! No error shows a setting's value, even if it is in the wrong place, or draws on a terminal.

use super::*;

/// The texts have no control characters, so that they can't affect a terminal or a log.
fn harmless(profile: Result<Profile, ProfileError>) -> String {
    let error = profile.expect_err("it must be refused");
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    for text in [error.to_string(), error.setting().to_owned(), source] {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    error.to_string()
}

// S49
#[cfg(feature = "nkeys")]
#[tokio::test]
async fn a_mistyped_secret_in_the_place_of_a_path_does_not_show() {
    let (short, long, small) = (&SEED[..57], format!("{SEED}A"), SEED.to_lowercase());
    let quoted = format!("\"{SEED}\"");
    for name in ["NATS_NKEY", "NATS_CREDS", "NATS_CA"] {
        for secret in [short, &long, &small, &quoted, &SEED[1..], "hunter2"] {
            let (setting, text) = refused(from_env(&[(name, secret)]).await, &[secret]);
            assert_eq!(setting, name);
            assert!(text.starts_with(&format!("{name}: its file cannot be used: ")), "{text}");
        }
    }
    for field in ["nkey", "creds", "ca"] {
        let (setting, text) = refused(from_context(&format!(r#"{{"{field}":"{short}"}}"#)).await, &[short]);
        assert!(setting.ends_with(&format!("orders.json: {field}")), "{setting}");
        assert!(text.starts_with(&format!("{setting}: its file cannot be used: ")), "{text}");
    }
}

// S49
#[cfg(feature = "nkeys")]
#[tokio::test]
async fn a_variable_in_the_path_of_a_context_does_not_show() {
    let folder = Folder::new();
    let vars = [("XDG_CONFIG_HOME", folder.text()), ("NATS_TOKEN", "s3cret")];
    for field in ["creds", "nkey", "ca"] {
        for path in ["$NATS_TOKEN", "/run/${NATS_TOKEN}/c"] {
            folder.file("nats/context/orders.json", format!(r#"{{"{field}": "{path}"}}"#));
            let profile = context::profile(Some("orders"), surroundings(&vars)).await;
            let (setting, text) = refused(profile, &["s3cret"]);
            assert!(setting.ends_with(&format!("orders.json: {field}")), "{setting}");
            assert!(text.contains("its file cannot be used"), "{text}");
        }
    }
}

// S49
#[tokio::test]
async fn control_characters_are_escaped_wherever_they_come_from() {
    let folder = Folder::new();
    let vars = [("XDG_CONFIG_HOME", folder.text())];
    let name = "a\u{1b}[2J\nx";
    let text = harmless(context::profile(Some(name), surroundings(&vars)).await);
    assert!(text.starts_with(r#"context "a\u{1b}[2J\nx": its file cannot be read: "#), "{text}");
    folder.file("nats/context.txt", name);
    harmless(context::profile(None, surroundings(&vars)).await);
    // In the name of the folder, which is shown as a part of the setting or of the reason.
    let home = folder.0.join(name).to_str().unwrap().to_owned();
    let vars = [("XDG_CONFIG_HOME", &*home)];
    harmless(context::profile(None, surroundings(&vars)).await);
    harmless(context::profile(Some("orders"), surroundings(&vars)).await);
    #[cfg(unix)]
    for content in [r#"{"token": 1}"#, "[]", "{"] {
        fs::create_dir_all(folder.0.join(name).join("nats/context")).unwrap();
        folder.file(&format!("{name}/nats/context/orders.json"), content);
        let text = harmless(context::profile(Some("orders"), surroundings(&vars)).await);
        assert!(text.contains(r"a\u{1b}[2J\nx/nats/context/orders.json"), "{text}");
    }
    let text = harmless(from_context(&format!(r#"{{"{}": 1}}"#, "f".repeat(100_000))).await);
    assert!(text.len() < 2_000 && text.ends_with(" bytes): is an unknown field"), "{text}");
}

// S49
#[tokio::test]
async fn a_line_end_is_refused_in_a_context_as_in_a_variable() {
    for end in ["\\n", "\\r\\n", "\\r"] {
        for (json, field) in [
            (format!(r#"{{"user": "joe", "password": "s3cret{end}"}}"#), "password"),
            (format!(r#"{{"user": "s3cret{end}", "password": "x"}}"#), "user"),
            (format!(r#"{{"token": "s3cret{end}"}}"#), "token"),
        ] {
            let (setting, text) = refused(from_context(&json).await, &["s3cret"]);
            assert!(setting.ends_with(&format!("orders.json: {field}")), "{setting}");
            assert_eq!(text, format!("{setting}: must not end with a line end"));
        }
    }
}
