//! Every variable and every field: what it becomes, and how a bad one is refused without showing a secret.

use std::error::Error as _;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::engine::Identity;

mod hidden;
#[cfg(feature = "tls")]
mod tls_files;

#[cfg(feature = "nkeys")]
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
#[cfg(feature = "nkeys")]
const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

/// A folder that is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nats-lifeline-profile-{}-{number}", std::process::id()));
        fs::create_dir_all(path.join("nats/context")).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn surroundings(vars: &[(&'static str, &str)]) -> Surroundings {
    Surroundings::of(vars.iter().map(|(name, value)| (*name, OsString::from(value))), "/usr/bin/billing")
}

async fn from_env(vars: &[(&'static str, &str)]) -> Result<Profile, ProfileError> {
    environment::profile(surroundings(vars)).await
}

/// From a context with this content, in a folder of its own.
async fn from_context(json: &str) -> Result<Profile, ProfileError> {
    let folder = Folder::new();
    folder.file("nats/context/orders.json", json);
    context::profile(Some("orders"), surroundings(&[("XDG_CONFIG_HOME", folder.text())])).await
}

fn urls(profile: &Profile) -> Vec<&str> {
    profile.servers.iter().map(ServerAddr::as_url_str).collect()
}

fn identity(profile: Profile) -> Identity {
    profile.options.checked().unwrap().config.identity
}

/// The setting that is refused, and the text. No form of the error shows one of the secrets.
fn refused(profile: Result<Profile, ProfileError>, secrets: &[&str]) -> (String, String) {
    let error = profile.expect_err("it must be refused");
    let all = format!("{error} {error:?} {error:#?} {:?}", error.source().map(ToString::to_string));
    for secret in secrets {
        assert!(!all.contains(secret), "{secret} is shown: {all}");
    }
    (error.setting().to_owned(), error.to_string())
}

// S49, S45
#[tokio::test]
async fn without_variables_there_are_defaults_and_a_name() {
    let empty = ["NATS_SERVERS", "NATS_URL", "NATS_TOKEN", "NATS_USER", "NATS_PASS", "NATS_NAME", "HOSTNAME"];
    for vars in [Vec::new(), empty.map(|name| (name, "")).to_vec()] {
        let profile = from_env(&vars).await.unwrap();
        assert_eq!(urls(&profile), ["nats://localhost:4222"]);
        let named = Identity { name: Some("billing".to_owned()), echo: true, ..Identity::default() };
        assert_eq!(identity(profile), named);
    }
    let profile = from_env(&[("HOSTNAME", "web-1")]).await.unwrap();
    assert_eq!(identity(profile).name.as_deref(), Some("billing@web-1"));
    let profile = from_env(&[("HOSTNAME", "web-1"), ("NATS_NAME", "mine")]).await.unwrap();
    assert_eq!(identity(profile).name.as_deref(), Some("mine"));
}

// S49
#[tokio::test]
async fn each_variable_reaches_its_option() {
    let list = "nats://one.example, tls://two.example:4333";
    for name in ["NATS_SERVERS", "NATS_URL"] {
        let profile = from_env(&[(name, list)]).await.unwrap();
        assert_eq!(urls(&profile), ["nats://one.example", "tls://two.example:4333"]);
    }
    let same = from_env(&[("NATS_SERVERS", "a.example"), ("NATS_URL", "a.example")]).await.unwrap();
    assert_eq!(urls(&same), ["nats://a.example"]);
    for password in ["NATS_PASS", "NATS_PASSWORD"] {
        let identity = identity(from_env(&[("NATS_USER", "joe"), (password, "hunter2")]).await.unwrap());
        assert_eq!((identity.user.as_deref(), identity.password.as_deref()), (Some("joe"), Some("hunter2")));
    }
    let profile = from_env(&[("NATS_TOKEN", "t0k3n")]).await.unwrap();
    assert!(!format!("{profile:?}").contains("t0k3n"));
    assert_eq!(identity(profile).token.as_deref(), Some("t0k3n"));
}

// S49
#[tokio::test]
async fn bad_variables_are_refused_by_their_name_and_hide_their_value() {
    let secrets = ["s3cret", "0ther"];
    for (vars, setting, text) in [
        (&[("NATS_USER", "joe")][..], "NATS_USER", "NATS_USER: needs NATS_PASSWORD (or NATS_PASS) as well"),
        (&[("NATS_PASS", "s3cret")], "NATS_PASS", "NATS_PASS: needs NATS_USER as well"),
        (
            &[("NATS_USER", "joe"), ("NATS_PASS", "s3cret"), ("NATS_PASSWORD", "0ther")],
            "NATS_PASS",
            "NATS_PASS: differs from NATS_PASSWORD, which means the same: set one of them",
        ),
        (
            &[("NATS_SERVERS", "a.example"), ("NATS_URL", "b.example")],
            "NATS_URL",
            "NATS_URL: differs from NATS_SERVERS, which means the same: set one of them",
        ),
        (
            &[("NATS_USER", "joe"), ("NATS_PASS", "s3cret"), ("NATS_TOKEN", "0ther")],
            "NATS_TOKEN",
            "NATS_TOKEN: cannot be set together with NATS_USER",
        ),
        (
            &[("NATS_CREDS", "/a"), ("NATS_NKEY", "/b")],
            "NATS_NKEY",
            "NATS_NKEY: cannot be set together with NATS_CREDS",
        ),
        (&[("NATS_CERT", "/c")], "NATS_CERT", "NATS_CERT: needs NATS_KEY as well"),
        (&[("NATS_KEY", "/k")], "NATS_KEY", "NATS_KEY: needs NATS_CERT as well"),
        (&[("NATS_TOKEN", "s3cret\n")], "NATS_TOKEN", "NATS_TOKEN: must not end with a line end"),
        (
            &[("NATS_URL", "nats://joe:s3cret@a.example:x")],
            "NATS_URL",
            "NATS_URL: invalid server address: the port must be a number",
        ),
        (
            &[("NATS_SERVERS", "a.example,joe:s3cret")],
            "NATS_SERVERS",
            "NATS_SERVERS: invalid server address: part 2 of the list: the port must be a number",
        ),
        (
            &[("NATS_URL", "http://s3cret")],
            "NATS_URL",
            "NATS_URL: invalid server address: the scheme must be nats or tls",
        ),
        (
            &[("NATS_URL", "a.example,wss://joe:s3cret@b.example")],
            "NATS_URL",
            "NATS_URL: invalid server address: this version has no WebSocket, so the scheme must be nats or tls",
        ),
    ] {
        assert_eq!(refused(from_env(vars).await, &secrets), (setting.to_owned(), text.to_owned()));
    }
}

// S49
#[cfg(unix)]
#[tokio::test]
async fn a_variable_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;

    for name in ["NATS_SERVERS", "NATS_TOKEN", "NATS_CREDS", "NATS_NAME", "HOSTNAME"] {
        let value = OsString::from_vec(vec![b's', 0xff, b't']);
        let profile = environment::profile(Surroundings::of([(name, value)], "p")).await;
        assert_eq!(refused(profile, &["s\\xff"]), (name.to_owned(), format!("{name}: must be UTF-8")));
    }
}

// S49
#[cfg(feature = "nkeys")]
#[tokio::test]
async fn seeds_and_credentials_come_from_files_and_never_show() {
    let folder = Folder::new();
    let jwt = "eyJh.eyJi.c2ln";
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n"
    );
    let (seed_file, creds_file) = (folder.file("a.nk", format!("{SEED}\n")), folder.file("a.creds", &creds));
    let profile = from_env(&[("NATS_NKEY", &seed_file)]).await.unwrap();
    let shown = format!("{profile:?}");
    assert!(shown.contains(PUBLIC) && !shown.contains(SEED), "{shown}");
    let profile = from_env(&[("NATS_CREDS", &creds_file)]).await.unwrap();
    assert!(format!("{profile:?}").contains("a.creds"));
    assert!(profile.options.checked().unwrap().driver.authenticator.is_some());
    // The content in the place of the path, and the other way round.
    for (vars, rule) in [
        (("NATS_NKEY", SEED), "must be the path of a file, not its content"),
        (("NATS_CREDS", creds.trim_end()), "must be the path of a file, not its content"),
        (("NATS_CREDS", jwt), "must be the path of a file, not its content"),
        (("NATS_NKEY", &*creds_file), "its file cannot be used: the NKey seed is not 58 characters of base32"),
        (("NATS_CREDS", &*seed_file), "its file cannot be used: the credentials contain no user JWT"),
        (("NATS_NKEY", "/absent/a.nk"), "its file cannot be used: "),
        (("NATS_CREDS", "/absent/a.creds"), "its file cannot be used: "),
    ] {
        let (setting, text) = refused(from_env(&[vars]).await, &[SEED, jwt, "/absent"]);
        assert_eq!(setting, vars.0);
        assert!(text.contains(rule), "{text}");
    }
    // A context may have the JWT and the seed themselves.
    let both = format!(r#"{{"user_jwt":"{jwt}","user_seed":"{SEED}"}}"#);
    let shown = format!("{:?}", from_context(&both).await.unwrap());
    assert!(shown.contains("Text(***)") && !shown.contains(SEED) && !shown.contains(jwt), "{shown}");
    let profile = from_context(&format!(r#"{{"user_jwt":"{jwt}"}}"#)).await.unwrap();
    assert!(format!("{profile:?}").contains("Jwt(***)"));
    let changed = both.replace("SSL3", "SSL4");
    let (setting, text) = refused(from_context(&changed).await, &["SSL4", jwt]);
    assert!(setting.ends_with("orders.json: user_seed") && text.contains("wrong checksum"), "{text}");
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn without_the_feature_tls_its_variables_are_refused() {
    for vars in [&[("NATS_CA", "/a")][..], &[("NATS_CERT", "/a"), ("NATS_KEY", "/b")]] {
        let (_, text) = refused(from_env(vars).await, &[]);
        assert_eq!(text, format!("{}: needs the feature `tls` of nats-lifeline", vars[0].0));
    }
}

#[cfg(not(feature = "nkeys"))]
#[tokio::test]
async fn without_the_feature_nkeys_its_variables_are_refused() {
    for name in ["NATS_CREDS", "NATS_NKEY"] {
        let (_, text) = refused(from_env(&[(name, "/a")]).await, &[]);
        assert_eq!(text, format!("{name}: needs the feature `nkeys` of nats-lifeline"));
    }
}

// S49
#[tokio::test]
async fn a_context_as_the_cli_writes_it_becomes_a_profile() {
    let json = r#"{
        "description": "of the shop", "url": "nats://one.example,nats://two.example:4333", "socks_proxy": "",
        "token": "t0k3n", "user": "joe", "password": "hunter2", "creds": "/ignored/as/by/the/cli", "nkey": "",
        "cert": "", "key": "", "ca": "", "nsc": "", "jetstream_domain": "hub", "jetstream_api_prefix": "",
        "jetstream_event_prefix": "", "inbox_prefix": "_INBOX_joe", "user_jwt": "", "user_seed": "",
        "color_scheme": "dark", "tls_first": false, "windows_cert_store": "", "windows_cert_match_by": "",
        "windows_cert_match": "", "windows_ca_certs_match": null
    }"#;
    let profile = from_context(json).await.unwrap();
    let shown = format!("{profile:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("t0k3n"), "{shown}");
    assert_eq!(urls(&profile), ["nats://one.example", "nats://two.example:4333"]);
    let settings = profile.options.checked().unwrap();
    assert_eq!(settings.inbox_prefix, "_INBOX_joe");
    assert!(!settings.config.tls_first && !settings.config.require_tls);
    let identity = settings.config.identity;
    assert_eq!((identity.user.as_deref(), identity.password.as_deref()), (Some("joe"), Some("hunter2")));
    assert_eq!((identity.token.as_deref(), identity.name.as_deref()), (Some("t0k3n"), Some("billing")));
    // An empty one has defaults.
    let profile = from_context(r#"{"tls_first": true}"#).await.unwrap();
    assert_eq!(urls(&profile), ["nats://localhost:4222"]);
    let config = profile.options.checked().unwrap().config;
    assert!(config.tls_first && config.require_tls);
}

// S49
#[tokio::test]
async fn a_context_is_found_by_its_name_or_as_the_selected_one() {
    let folder = Folder::new();
    fs::create_dir_all(folder.0.join(".config/nats/context")).unwrap();
    folder.file(".config/nats/context/shop.json", r#"{"url":"shop.example"}"#);
    let home = [("HOME", folder.text())];
    let profile = context::profile(Some("shop"), surroundings(&home)).await.unwrap();
    assert_eq!(urls(&profile), ["nats://shop.example"]);
    let (_, text) = refused(context::profile(None, surroundings(&home)).await, &[]);
    assert!(text.starts_with("selected context: no context is selected: "), "{text}");
    folder.file(".config/nats/context.txt", " \n");
    let (setting, text) = refused(context::profile(None, surroundings(&home)).await, &[]);
    assert!(setting.ends_with("context.txt") && text.ends_with("no context is selected"), "{text}");
    folder.file(".config/nats/context.txt", "shop\n");
    let profile = context::profile(None, surroundings(&home)).await.unwrap();
    assert_eq!(urls(&profile), ["nats://shop.example"]);
    // XDG_CONFIG_HOME comes first; USERPROFILE is the home of Windows.
    let vars = [("HOME", folder.text()), ("XDG_CONFIG_HOME", folder.text())];
    let (setting, text) = refused(context::profile(Some("shop"), surroundings(&vars)).await, &[]);
    assert_eq!(setting, "context \"shop\"");
    assert!(text.contains("its file cannot be read") && text.contains("shop.json"), "{text}");
    let profile = context::profile(None, surroundings(&[("USERPROFILE", folder.text())])).await.unwrap();
    assert_eq!(urls(&profile), ["nats://shop.example"]);
    for name in ["", "..", "../shop", "a/b", "a\\b"] {
        let (_, text) = refused(context::profile(Some(name), surroundings(&home)).await, &[]);
        assert_eq!(text, format!("context {name:?}: is no name of a context"));
    }
    let (setting, _) = refused(context::profile(Some("shop"), surroundings(&[])).await, &[]);
    assert_eq!(setting, "HOME");
}

// S49
#[tokio::test]
async fn bad_fields_are_refused_by_their_name_and_hide_their_value() {
    for (json, field, rule) in [
        (r#"{"user": "joe"}"#, ": user", "needs password as well"),
        (r#"{"password": "s3cret"}"#, ": password", "needs user as well"),
        (r#"{"cert": "/c"}"#, ": cert", "needs key as well"),
        (r#"{"user_seed": "s3cret"}"#, ": user_seed", "needs user_jwt as well"),
        (r#"{"url": "nats://joe:s3cret@h:x"}"#, ": url", "invalid server address: the port must be a number"),
        (r#"{"url": ["s3cret"]}"#, ": url", "must be a string"),
        (r#"{"password": 53, "user": "s3cret"}"#, ": password", "must be a string"),
        (r#"{"tls_first": "s3cret"}"#, ": tls_first", "must be true or false"),
        (r#"{"inbox_prefix": "a..b"}"#, ": inbox_prefix", "must be a subject without wildcards"),
        (r#"{"nsc": "nsc://s3cret"}"#, ": nsc", "is not supported: name the server and the credentials file"),
        (r#"{"socks_proxy": "s3cret"}"#, ": socks_proxy", "is not supported: use `ConnectOptions::dialer`"),
        (r#"{"windows_cert_store": "s3cret"}"#, ": windows_cert_store", "is not supported: use files for TLS"),
        (r#"{"token": "op://s3cret"}"#, ": token", "is a reference, which is not supported"),
        (r#"{"creds": "env://S3"}"#, ": creds", "is a reference, which is not supported"),
        (r#"{"ca": "$ABSENT/s3cret"}"#, ": ca", "contains a `$` without the name of a variable that is set"),
        (r#"{"ca": "~/s3cret"}"#, ": ca", "begins with ~, and HOME is not set"),
        (r#"{"invented": "s3cret"}"#, ": invented", "is an unknown field"),
        (r#"{"\u001b[2J": "s3cret"}"#, ": \\u{1b}[2J", "is an unknown field"),
        (r#"["s3cret"]"#, "orders.json", "must be a JSON object"),
        ("{\"user\":\n \"s3cret", "orders.json", "is not valid JSON at line 2, column "),
        ("", "orders.json", "is not valid JSON at line 1, column 0"),
    ] {
        let (setting, text) = refused(from_context(json).await, &["s3cret"]);
        assert!(setting.contains("orders.json") && setting.ends_with(field), "{setting}");
        assert!(text.contains(&format!("{setting}: {rule}")), "{json}: {text}");
    }
}

// S49
#[tokio::test]
async fn a_profile_can_be_changed_before_it_connects() {
    let profile = from_env(&[("NATS_NAME", "mine")]).await.unwrap();
    let changed = profile.clone().with_options(|options| options.name("other").no_echo());
    let identity = identity(changed);
    assert_eq!((identity.name.as_deref(), identity.echo), (Some("other"), false));
    let mut profile = profile;
    profile.servers = vec!["a.example".parse().unwrap()];
    assert_eq!(urls(&profile), ["nats://a.example"]);
    fn is_send<T: Send>(_: T) {}
    is_send(ConnectOptions::from_env());
    is_send(ConnectOptions::from_context("name"));
}

#[test]
fn a_profile_error_becomes_a_connect_error() {
    let error = ConnectError::from(ProfileError::new("NATS_CERT", "needs NATS_KEY as well"));
    assert_eq!(error.kind(), ConnectErrorKind::Io);
    assert_eq!(error.to_string(), "IO error: NATS_CERT: needs NATS_KEY as well");
    assert_eq!(error.source_as::<ProfileError>().map(ProfileError::setting), Some("NATS_CERT"));
}
