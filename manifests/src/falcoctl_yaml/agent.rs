//! What belongs into agent.toml of each host.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use jiff::tz::TimeZone;

use super::fleet::field;
use super::{Keys, duration};
use crate::schedule::Schedule;
use crate::yaml::{Mark, Node, Problems, Value, shown};

/// Where agent.toml looks for Falco's web server unless it says otherwise, as falcoctl and falconer write it.
const DEFAULT_WEB_SERVERS: [&str; 2] = ["http://localhost:8765", "http://127.0.0.1:8765"];
/// The time between two passes unless agent.toml says otherwise, in seconds.
const DEFAULT_EVERY: u64 = 300;
const LOGIN_HINT: &str = "write the login under `[registries.\"HOST\".credentials]` of agent.toml";

pub(super) fn render(keys: &Keys<'_>, notes: &mut Problems<'_>) -> String {
    let mut text = schedule(keys, notes);
    text.push_str(&web_server(keys));
    if let Some(path) = keys.get("registry.creds.config").and_then(|(_, node)| scalar(node)) {
        text.push_str(&format!("[docker]\nconfig = {}\n", toml(path)));
    }
    text.push_str(&logins(keys, notes));
    text
}

/// falcoctl's period is that of asking the registries; falconer asks Git more often than that.
fn schedule(keys: &Keys<'_>, notes: &mut Problems<'_>) -> String {
    let every = keys.get("artifact.follow.every").and_then(|(at, node)| period(at, node, "every", notes));
    let cron = keys.get("artifact.follow.cron").and_then(|(at, node)| cron(at, node, notes));
    let Some(seconds) = every.or(cron) else { return calendar(keys) };
    let shown = duration::shown(seconds);
    let every = if seconds < DEFAULT_EVERY { format!("every = \"{shown}\"\n") } else { String::new() };
    format!("[schedule]\n{every}resolve_every = \"{shown}\"\n")
}

fn period(at: Mark, node: &Node, key: &str, notes: &mut Problems<'_>) -> Option<u64> {
    let text = scalar(node).unwrap_or_default();
    let seconds = duration::seconds(text);
    if seconds.is_none() {
        let message = format!("`artifact.follow.{key}: {}` is no span of time and is not carried over", shown(text));
        notes.report(at, message, "set `resolve_every` under `[schedule]` of agent.toml, e.g. \"24h\"");
    }
    seconds
}

/// A calendar is taken as it is: falcoctl asks the registries at its times, so every pass of falconer does too.
fn calendar(keys: &Keys<'_>) -> String {
    match keys.get("artifact.follow.cron").and_then(|(_, node)| scalar(node)).map(str::trim) {
        Some(text) if is_calendar(text) => format!("[schedule]\ncron = {}\nresolve_every = \"1m\"\n", toml(text)),
        _ => String::new(),
    }
}

/// Whether agent.toml takes it; whether there is such a time zone is seen on the host.
fn is_calendar(text: &str) -> bool {
    let schedule = Schedule::cron(text, &TimeZone::UTC, &|_| Some(TimeZone::UTC));
    matches!(schedule, Ok(Schedule::Calendar(_)))
}

/// The descriptors of falcoctl's cron library that are spans of time.
fn cron(at: Mark, node: &Node, notes: &mut Problems<'_>) -> Option<u64> {
    const HOUR: u64 = 3600;
    let text = scalar(node).unwrap_or_default().trim();
    let seconds = match text {
        "@hourly" => Some(HOUR),
        "@daily" | "@midnight" => Some(24 * HOUR),
        "@weekly" => Some(7 * 24 * HOUR),
        _ => text.strip_prefix("@every ").and_then(duration::seconds),
    };
    if seconds.is_none() && !is_calendar(text) {
        let message = format!("`artifact.follow.cron: {}` is no schedule and is not carried over", shown(text));
        notes.report(at, message, "set `cron` or `every` under `[schedule]` of agent.toml");
    }
    seconds
}

fn web_server(keys: &Keys<'_>) -> String {
    let url = keys.get("artifact.follow.falcoversions").and_then(|(_, node)| scalar(node));
    let url = url.map(|url| url.trim_end_matches('/').trim_end_matches("/versions"));
    match url {
        Some(url) if !DEFAULT_WEB_SERVERS.contains(&url) && url.contains("://") && !url.contains('@') => {
            format!("[falco]\nhttp = {}\n", toml(url))
        }
        _ => String::new(),
    }
}

/// The logins of `registry.auth`, in the order in which falcoctl tries them; the secrets stay where they are.
fn logins(keys: &Keys<'_>, notes: &mut Problems<'_>) -> String {
    let mut text = String::new();
    let mut known = BTreeSet::new();
    for (key, read) in
        [("registry.auth.basic", basic as fn(&Node, &str) -> Option<String>), ("registry.auth.oauth", oauth)]
    {
        let Some((at, node)) = keys.get(key) else { continue };
        let Value::Sequence(items) = &node.value else {
            notes.report(at, format!("`{key}` is no list and is not carried over"), LOGIN_HINT);
            continue;
        };
        for item in items {
            let registry = field(item, "registry").map(|registry| registry.split('/').next().unwrap_or_default());
            let registry = registry.filter(|registry| !registry.is_empty());
            let file = registry.map(secret_file).unwrap_or_default();
            let (Some(registry), Some(lines)) = (registry, read(item, &file)) else {
                let message = format!("a login of `{key}` that lacks something is not carried over");
                notes.report(item.at, message, LOGIN_HINT);
                continue;
            };
            if !known.insert(registry) {
                let message = format!("a further login for {} is not carried over", shown(registry));
                notes.report(item.at, message, "agent.toml has one login for each registry; choose one");
                continue;
            }
            text.push_str(&format!("[registries.{}.credentials]\n{lines}\n", toml(registry)));
            let message = format!("the secret for {} is not carried over", shown(registry));
            notes.report(item.at, message, format!("write it into {file} on each host, readable by falconer alone"));
        }
    }
    text
}

/// A user with a password.
fn basic(item: &Node, file: &str) -> Option<String> {
    let user = field(item, "user").filter(|user| !user.is_empty())?;
    Some(format!("username = {}\npassword_file = {}", toml(user), toml(file)))
}

/// A client of an authorization server. Its URL is taken only where it can hold no secret.
fn oauth(item: &Node, file: &str) -> Option<String> {
    let client = field(item, "clientid").filter(|client| !client.is_empty())?;
    let url = field(item, "tokenurl").filter(|url| url.starts_with("https://") && !url.contains(['@', '?', '#']))?;
    let keys = [("token_url", url), ("client_id", client), ("client_secret_file", file)];
    let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
    Some(format!("oauth2 = {{{}}}", keys.join(", ")))
}

/// Where a secret is to be written; the file's name is that of the registry.
fn secret_file(registry: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("/etc/falconer/secrets/{}", registry.chars().map(safe).collect::<String>())
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

/// Text as a TOML string.
fn toml(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}
