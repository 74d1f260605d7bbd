//! Settings from a context of the `nats` CLI, as ADR-21 of NATS describes it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::settings::{Login, Settings, together};
use super::surroundings::{self, Surroundings, Value};
use super::{Profile, ProfileError};

/// They say nothing about a connection.
const IGNORED: [&str; 6] =
    ["name", "description", "color_scheme", "jetstream_domain", "jetstream_api_prefix", "jetstream_event_prefix"];

/// Schemes of references that the CLI resolves.
const REFERENCES: [&str; 5] = ["op://", "nsc://", "env://", "file://", "data:"];

/// Reads a context, and then the files that it names.
pub(super) async fn profile(name: Option<&str>, surroundings: Surroundings) -> Result<Profile, ProfileError> {
    let folder = folder(&surroundings)?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => selected(&folder).await?,
    };
    if name.is_empty() || name.contains("..") || name.contains(['/', '\\']) {
        return Err(ProfileError::new(format!("context {name:?}"), "is no name of a context"));
    }
    let file = folder.join("context").join(format!("{name}.json"));
    let content = surroundings::read_named(&file)
        .await
        .map_err(|error| ProfileError::because(format!("context {name:?}"), "its file cannot be read", error))?;
    let settings = Fields::parse(&content, &file, &surroundings)?.settings()?;
    drop(surroundings);
    settings.profile().await
}

/// The CLI's folder.
fn folder(surroundings: &Surroundings) -> Result<PathBuf, ProfileError> {
    if let Some(config) = surroundings.var("XDG_CONFIG_HOME")? {
        return Ok(Path::new(&config.text).join("nats"));
    }
    match surroundings.home()? {
        Some(home) => Ok(Path::new(&home.text).join(".config").join("nats")),
        None => Err(ProfileError::new("HOME", "must be set to find contexts, unless XDG_CONFIG_HOME is")),
    }
}

/// The name of the selected context.
async fn selected(folder: &Path) -> Result<String, ProfileError> {
    let file = folder.join("context.txt");
    let setting = || file.display().to_string();
    let content = surroundings::read_named(&file)
        .await
        .map_err(|error| ProfileError::because("selected context", "no context is selected", error))?;
    let name = std::str::from_utf8(&content).map_err(|_| ProfileError::new(setting(), "is not UTF-8"))?.trim();
    if name.is_empty() { Err(ProfileError::new(setting(), "no context is selected")) } else { Ok(name.to_owned()) }
}

/// The fields of a context. Each is taken out when it is read, so that what remains is unknown.
struct Fields<'a> {
    fields: Map<String, Json>,
    file: &'a Path,
    surroundings: &'a Surroundings,
}

impl<'a> Fields<'a> {
    fn parse(content: &[u8], file: &'a Path, surroundings: &'a Surroundings) -> Result<Fields<'a>, ProfileError> {
        let refused = |rule: String| ProfileError::new(file.display().to_string(), rule);
        match serde_json::from_slice(content) {
            Ok(Json::Object(fields)) => Ok(Fields { fields, file, surroundings }),
            Ok(_) => Err(refused("must be a JSON object".to_owned())),
            // The error's own text may show a part of the file.
            Err(error) => {
                Err(refused(format!("is not valid JSON at line {}, column {}", error.line(), error.column())))
            }
        }
    }

    fn settings(mut self) -> Result<Settings, ProfileError> {
        self.refuse_what_is_unsupported()?;
        let fields = &mut self;
        let login = fields.login()?;
        let settings = Settings {
            servers: fields.text("url")?,
            login,
            token: fields.literal("token")?,
            ca: fields.path("ca")?,
            client: together(fields.path("cert")?, "cert", fields.path("key")?, "key")?,
            tls_first: fields.flag("tls_first")?,
            inbox_prefix: fields.text("inbox_prefix")?,
            name: fields.surroundings.name()?,
        };
        for ignored in IGNORED {
            self.fields.remove(ignored);
        }
        match self.fields.iter().find(|(_, value)| !is_unset(value)) {
            Some((unknown, _)) => Err(self.refused(unknown, "is an unknown field")),
            None => Ok(settings),
        }
    }

    /// The first kind of credentials, in the CLI's order.
    fn login(&mut self) -> Result<Login, ProfileError> {
        let user = together(self.text("user")?, "user", self.literal("password")?, "password")?;
        let (creds, nkey) = (self.path("creds")?, self.path("nkey")?);
        let (jwt, seed) = (self.literal("user_jwt")?, self.literal("user_seed")?);
        Ok(match (user, creds, nkey, jwt) {
            (Some((user, password)), ..) => Login::User(user, password),
            (_, Some(creds), ..) => Login::Creds(creds),
            (_, _, Some(nkey), _) => Login::NKey(nkey),
            (.., Some(jwt)) => Login::Jwt(jwt, seed),
            (None, None, None, None) => match seed {
                Some(seed) => return Err(seed.refused("needs user_jwt as well")),
                None => Login::None,
            },
        })
    }

    fn refuse_what_is_unsupported(&self) -> Result<(), ProfileError> {
        for (field, _) in self.fields.iter().filter(|(_, value)| !is_unset(value)) {
            let rule = match field.as_str() {
                "nsc" => "is not supported: name the server and the credentials file in `url` and `creds`",
                "socks_proxy" => "is not supported: use `ConnectOptions::dialer`",
                windows if windows.starts_with("windows_") => "is not supported: use files for TLS",
                _ => continue,
            };
            return Err(self.refused(field, rule));
        }
        Ok(())
    }

    fn refused(&self, field: &str, rule: &str) -> ProfileError {
        ProfileError::new(self.setting(field), rule)
    }

    fn setting(&self, field: &str) -> String {
        format!("{}: {}", self.file.display(), field.escape_debug())
    }

    /// A text; `None` if it is unset.
    fn text(&mut self, field: &str) -> Result<Option<Value>, ProfileError> {
        match self.fields.remove(field) {
            None => Ok(None),
            Some(value) if is_unset(&value) => Ok(None),
            Some(Json::String(text)) => Value::new(self.setting(field), text).map(Some),
            Some(_) => Err(self.refused(field, "must be a string")),
        }
    }

    /// A text that the CLI would resolve if it were a reference.
    fn literal(&mut self, field: &str) -> Result<Option<Value>, ProfileError> {
        match self.text(field)? {
            Some(value) if REFERENCES.iter().any(|scheme| value.text.starts_with(scheme)) => {
                Err(value.refused("is a reference, which is not supported: write the value itself"))
            }
            value => Ok(value),
        }
    }

    /// A path, with variables and the home folder put in.
    fn path(&mut self, field: &str) -> Result<Option<Value>, ProfileError> {
        let Some(mut value) = self.text(field)? else { return Ok(None) };
        if let Some(path) = value.text.strip_prefix("file://") {
            value.text = path.to_owned();
        }
        if REFERENCES.iter().any(|scheme| value.text.starts_with(scheme)) {
            return Err(value.refused("is a reference, which is not supported: write the path of a file"));
        }
        value.text = self.expanded(&value)?;
        if let Some(rest) = value.text.strip_prefix('~') {
            let home = self.surroundings.home()?.ok_or_else(|| value.refused("begins with ~, and HOME is not set"))?;
            value.text = home.text + rest;
        }
        Ok(Some(value))
    }

    /// The text with `$NAME` and `${NAME}` replaced.
    fn expanded(&self, value: &Value) -> Result<String, ProfileError> {
        let (mut out, mut rest) = (String::new(), value.text.as_str());
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, behind) = match after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
                Some(braced) => braced,
                None => {
                    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    after.split_at(after.find(|c| !fits(c)).unwrap_or(after.len()))
                }
            };
            let variable = self.surroundings.var(name)?;
            let variable =
                variable.ok_or_else(|| value.refused("contains a `$` without the name of a variable that is set"))?;
            out.push_str(&variable.text);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn flag(&mut self, field: &str) -> Result<bool, ProfileError> {
        match self.fields.remove(field) {
            None | Some(Json::Null) => Ok(false),
            Some(Json::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.refused(field, "must be true or false")),
        }
    }
}

/// The CLI writes fields without a value too.
fn is_unset(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::String(text) => text.is_empty(),
        Json::Array(list) => list.iter().all(is_unset),
        _ => false,
    }
}
