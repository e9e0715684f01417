//! `[[hooks]]`: whom to tell when the host's condition changes.

use std::path::PathBuf;
use std::time::Duration;

use falconer_manifests::outcome::Condition;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::document::Period;
use super::{Files, SettingsError};

/// How long a hook may take unless it says otherwise.
const DEADLINE: Duration = Duration::from_secs(30);

/// One `[[hooks]]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Its name in the log; default: its number.
    pub name: Option<String>,
    /// A program and its arguments.
    pub command: Option<Vec<String>>,
    /// A URL for a POST.
    pub webhook: Option<String>,
    /// The file that holds the URL, where the URL is a secret.
    pub webhook_file: Option<PathBuf>,
    /// The file that holds the secret that signs what is posted.
    pub secret_file: Option<PathBuf>,
    /// The conditions that it is told of; default: all.
    pub conditions: Option<Vec<Condition>>,
    /// How long it may take; default: 30s.
    pub deadline: Option<Period>,
}

/// Whom to tell when the host's condition changes.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its name in the log.
    pub name: String,
    /// What is done.
    pub action: Action,
    /// The conditions that it is told of; `None`: all.
    pub conditions: Option<Vec<Condition>>,
    /// How long it may take.
    pub deadline: Duration,
}

/// What a hook does.
#[derive(Clone)]
pub enum Action {
    /// Runs a program with its arguments.
    Command(Vec<String>),
    /// Posts to a URL, signed by the secret.
    Webhook(Url, Option<SecretString>),
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(command) => f.debug_tuple("Command").field(command).finish(),
            // Many webhooks have their secret in the URL.
            Self::Webhook(url, _) => f.debug_tuple("Webhook").field(&url.host_str()).finish(),
        }
    }
}

/// Checks the tables, and reads the files that they name.
pub(super) fn check(files: &Files<'_>, written: Vec<Written>) -> Result<Vec<Hook>, SettingsError> {
    written.into_iter().enumerate().map(|(index, written)| one(files, index + 1, written)).collect()
}

fn one(files: &Files<'_>, number: usize, written: Written) -> Result<Hook, SettingsError> {
    let refused = |problem: &str, hint: &str| files.refused(&format!("hooks, number {number},"), problem, hint);
    let url = match (written.webhook, written.webhook_file) {
        (Some(url), None) => Some(SecretString::from(url)),
        (None, Some(file)) => Some(files.secret(&file)?),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(refused("has webhook and webhook_file", "give one of them")),
    };
    let action = match (written.command, url) {
        (Some(command), None) => {
            if !command.first().is_some_and(|program| program.starts_with('/')) {
                let hint =
                    "give the program by its absolute path, then its arguments: [\"/usr/local/bin/notify\", \"-v\"]";
                return Err(refused("has a command without a program", hint));
            }
            if written.secret_file.is_some() {
                return Err(refused("has a secret_file, which signs what is posted", "take it out"));
            }
            Action::Command(command)
        }
        (None, Some(url)) => {
            let url = Url::parse(url.expose_secret()).ok().filter(|url| url.has_host() && is_private(url));
            let hint = "write an https URL; http is only for this machine";
            let url = url.ok_or_else(|| refused("has a webhook that is no https URL", hint))?;
            Action::Webhook(url, written.secret_file.map(|file| files.secret(&file)).transpose()?)
        }
        _ => return Err(refused("does not say what to do", "give one of command, webhook and webhook_file")),
    };
    Ok(Hook {
        name: written.name.unwrap_or_else(|| number.to_string()),
        action,
        conditions: written.conditions,
        deadline: written.deadline.map_or(DEADLINE, |Period(deadline)| deadline),
    })
}

/// Whether nobody on the way can read what is sent there.
fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && crate::outbound::is_loopback(url))
}
