//! Settings from environment variables.

use super::settings::{Login, Settings, together};
use super::surroundings::{Surroundings, Value};
use super::{Profile, ProfileError};

/// Reads all variables, and then the files that they name.
pub(super) async fn profile(surroundings: Surroundings) -> Result<Profile, ProfileError> {
    let settings = settings(&surroundings)?;
    drop(surroundings);
    settings.profile().await
}

fn settings(surroundings: &Surroundings) -> Result<Settings, ProfileError> {
    let var = |name| surroundings.var(name);
    let name = match var("NATS_NAME")? {
        Some(name) => Some(name.text),
        None => surroundings.name()?,
    };
    Ok(Settings {
        servers: equal(var("NATS_SERVERS")?, var("NATS_URL")?)?,
        login: login(surroundings)?,
        token: var("NATS_TOKEN")?,
        ca: var("NATS_CA")?,
        client: together(var("NATS_CERT")?, "NATS_CERT", var("NATS_KEY")?, "NATS_KEY")?,
        name,
        ..Settings::default()
    })
}

fn login(surroundings: &Surroundings) -> Result<Login, ProfileError> {
    let var = |name| surroundings.var(name);
    let password = equal(var("NATS_PASSWORD")?, var("NATS_PASS")?)?;
    let user = together(var("NATS_USER")?, "NATS_USER", password, "NATS_PASSWORD (or NATS_PASS)")?;
    let (creds, nkey) = (var("NATS_CREDS")?, var("NATS_NKEY")?);
    let set = [user.as_ref().map(|(user, _)| user), var("NATS_TOKEN")?.as_ref(), creds.as_ref(), nkey.as_ref()]
        .into_iter()
        .flatten()
        .map(|value| value.setting.clone())
        .collect::<Vec<_>>();
    if let [first, second, ..] = set.as_slice() {
        return Err(ProfileError::new(second.clone(), format!("cannot be set together with {first}")));
    }
    Ok(match (user, creds, nkey) {
        (Some((user, password)), _, _) => Login::User(user, password),
        (_, Some(creds), _) => Login::Creds(creds),
        (_, _, Some(nkey)) => Login::NKey(nkey),
        (None, None, None) => Login::None,
    })
}

/// One of two variables with the same meaning.
fn equal(first: Option<Value>, second: Option<Value>) -> Result<Option<Value>, ProfileError> {
    match (first, second) {
        (Some(first), Some(second)) if first.text != second.text => {
            Err(second.refused(format!("differs from {}, which means the same: set one of them", first.setting)))
        }
        (first, second) => Ok(first.or(second)),
    }
}
