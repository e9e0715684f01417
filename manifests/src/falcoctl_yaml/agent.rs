//! What belongs into agent.toml of each host.

use alloc::format;
use alloc::string::{String, ToString};

use super::fleet::field;
use super::{Keys, duration};
use crate::yaml::{Mark, Node, Problems, Value, shown};

/// Where agent.toml looks for Falco's web server unless it says otherwise, as falcoctl and falconer write it.
const DEFAULT_WEB_SERVERS: [&str; 2] = ["http://localhost:8765", "http://127.0.0.1:8765"];
/// The time between two passes unless agent.toml says otherwise, in seconds.
const DEFAULT_EVERY: u64 = 300;

pub(super) fn render(keys: &Keys<'_>, notes: &mut Problems<'_>) -> String {
    let mut text = schedule(keys, notes);
    text.push_str(&web_server(keys));
    text.push_str(&logins(keys, notes));
    if let Some((at, _)) = keys.get("registry.auth.oauth") {
        let message = "`registry.auth.oauth` is not carried over, since it holds secrets";
        let hint =
            "write the client and its token URL under `[registries.\"HOST\"]` of agent.toml, the secret into a file";
        notes.report(at, message, hint);
    }
    text
}

/// falcoctl's period is that of asking the registries; falconer asks Git more often than that.
fn schedule(keys: &Keys<'_>, notes: &mut Problems<'_>) -> String {
    let every = keys.get("artifact.follow.every").and_then(|(at, node)| period(at, node, "every", notes));
    let cron = keys.get("artifact.follow.cron").and_then(|(at, node)| cron(at, node, notes));
    let Some(seconds) = every.or(cron) else { return String::new() };
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

/// The descriptors of falcoctl's cron library that are spans of time; there is no calendar in agent.toml.
fn cron(at: Mark, node: &Node, notes: &mut Problems<'_>) -> Option<u64> {
    const HOUR: u64 = 3600;
    let text = scalar(node).unwrap_or_default().trim();
    let seconds = match text {
        "@hourly" => Some(HOUR),
        "@daily" | "@midnight" => Some(24 * HOUR),
        "@weekly" => Some(7 * 24 * HOUR),
        _ => text.strip_prefix("@every ").and_then(duration::seconds),
    };
    if seconds.is_none() {
        let message = format!("`artifact.follow.cron: {}` is not carried over", shown(text));
        notes.report(
            at,
            message,
            "agent.toml has no calendar; set `resolve_every` under its `[schedule]`, e.g. \"24h\"",
        );
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

/// The user names of `registry.auth.basic`; the passwords stay where they are.
fn logins(keys: &Keys<'_>, notes: &mut Problems<'_>) -> String {
    let Some((at, node)) = keys.get("registry.auth.basic") else { return String::new() };
    let mut text = String::new();
    let Value::Sequence(items) = &node.value else {
        let message = "`registry.auth.basic` is no list and is not carried over";
        notes.report(at, message, "write the login under `[registries.\"HOST\".credentials]` of agent.toml");
        return text;
    };
    for item in items {
        let registry = field(item, "registry").map(|registry| registry.split('/').next().unwrap_or_default());
        let (Some(registry), Some(user)) = (registry.filter(|registry| !registry.is_empty()), field(item, "user"))
        else {
            let message = "a login of `registry.auth.basic` without `registry` or `user` is not carried over";
            notes.report(item.at, message, "write it under `[registries.\"HOST\".credentials]` of agent.toml");
            continue;
        };
        let safe: String =
            registry.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let file = format!("/etc/falconer/secrets/{safe}");
        text.push_str(&format!(
            "[registries.{}.credentials]\nusername = {}\npassword_file = {}\n",
            toml(registry),
            toml(user),
            toml(&file)
        ));
        let message = format!("the password for {} is not carried over", shown(registry));
        notes.report(item.at, message, format!("write it into {file} on each host, readable by falconer alone"));
    }
    text
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
