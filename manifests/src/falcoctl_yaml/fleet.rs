//! The text of the fleet.yaml.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};

use serde_json::Value as Json;

use super::artifacts::Artifact;
use super::{Keys, texts};
use crate::fleet;
use crate::name::IndexName;
use crate::yaml::{Mark, Node, Problems, Value, shown};

/// The artifact that brings the rules of Falco's own package.
const FALCO_RULES: &str = "falco-rules";
/// Where the package puts them.
const PACKAGED_RULES: &str = "/etc/falco/falco_rules.yaml";
/// The rules file that a host's owner keeps, loaded after them.
const LOCAL_RULES: &str = "/etc/falco/falco_rules.local.yaml";

pub(super) fn render(keys: &Keys<'_>, artifacts: &[Artifact], notes: &mut Problems<'_>) -> String {
    let mut text = String::from("# Made of falcoctl.yaml by `falconer import`.\nversion: 1\n");
    text.push_str(&indexes(keys, notes));
    if !artifacts.is_empty() {
        text.push_str("artifacts:\n");
    }
    for artifact in artifacts {
        text.push_str(&format!("  {}: {}\n", artifact.name, quoted(&artifact.request)));
    }
    text.push_str("# In the order in which Falco loads them.\nrules_files:\n");
    // Falco's own order: the packaged rules, what the host's owner adds to them, then the rest.
    let is_packaged = |artifact: &&Artifact| artifact.name.as_str() == FALCO_RULES;
    match artifacts.iter().find(is_packaged) {
        Some(_) => text.push_str(&format!("  - artifact: {FALCO_RULES}\n")),
        None => {
            text.push_str(&format!("  - host: {PACKAGED_RULES}\n"));
            let message =
                format!("falcoctl does not bring `{FALCO_RULES}`; {PACKAGED_RULES} of each host stays in use");
            notes.report(
                Mark::default(),
                message,
                format!("to pin it, put `{FALCO_RULES}: \"5\"` under `artifacts` instead"),
            );
        }
    }
    text.push_str(&format!("  - host: {LOCAL_RULES}\n"));
    for artifact in artifacts.iter().filter(|artifact| artifact.rules && !is_packaged(artifact)) {
        text.push_str(&format!("  - artifact: {}\n", artifact.name));
    }
    let message = "falcoctl does not say which rules files Falco loads; the order of `rules_files` is a guess";
    let hint =
        "compare it with `rules_files` of falco.yaml, and add `- host: /etc/falco/rules.d` if hosts keep rules there";
    notes.report(Mark::default(), message, hint);
    text.push_str(dependencies(keys, notes));
    text
}

/// The key `dependencies`: `install` brings what artifacts need, unless it is told not to; `follow` never does.
fn dependencies(keys: &Keys<'_>, notes: &mut Problems<'_>) -> &'static str {
    let Some((at, node)) = keys.get("artifact.install.refs") else { return "" };
    let is_empty = texts(&mut Problems::new(""), at, "artifact.install.refs", node).is_empty();
    let switch = keys.get("artifact.install.resolvedeps").map(|(_, node)| &node.value);
    let is_off = matches!(switch, Some(Value::Scalar { text, .. }) if matches!(text.to_lowercase().as_str(), "false" | "f" | "0"));
    if is_empty || is_off {
        return "";
    }
    let hint = "name the plugins that may come so in `plugins` of policy.toml on the hosts, or take `dependencies` out";
    notes.report(at, "what these need comes with them, plugins too", hint);
    "dependencies: install\n"
}

/// The key `indexes`; nothing where the default index is meant.
fn indexes(keys: &Keys<'_>, notes: &mut Problems<'_>) -> String {
    let Some((at, node)) = keys.get("indexes") else { return String::new() };
    let Value::Sequence(items) = &node.value else {
        // The form of the environment variable: `name,url;name,url`.
        let listed = texts(notes, at, "indexes", node);
        let pairs = listed.iter().filter_map(|(at, text)| text.split_once(',').map(|(name, url)| (*at, name, url)));
        return listed_indexes(pairs.map(|(at, name, url)| (at, Some(name), Some(url))), notes);
    };
    let entries = items.iter().map(|item| (item.at, field(item, "name"), field(item, "url")));
    listed_indexes(entries, notes)
}

fn listed_indexes<'n>(
    entries: impl Iterator<Item = (Mark, Option<&'n str>, Option<&'n str>)>,
    notes: &mut Problems<'_>,
) -> String {
    let mut names = BTreeSet::new();
    let mut text = String::new();
    for (at, name, url) in entries {
        let (Some(name), Some(url)) = (name, url) else {
            notes.report(at, "an index without `name` or `url` is not carried over", "add it to fleet.yaml by hand");
            continue;
        };
        let line = format!("  - {{name: {}, url: {}}}\n", quoted(name), quoted(url));
        let refused = IndexName::parse(name).err().map(|wrong| (wrong.to_string(), wrong.hint.to_string()));
        let refused = refused.or_else(|| refused_by_fleet(&line));
        match refused {
            Some((problem, hint)) => {
                notes.report(at, format!("the index `{}` is not carried over: {problem}", shown(name)), hint);
            }
            None if names.insert(name.to_string()) => text.push_str(&line),
            None => {
                let message = format!("the index `{}` stands twice; the first one is carried over", shown(name));
                notes.report(at, message, "give the other one a name of its own in fleet.yaml");
            }
        }
    }
    if text.is_empty() { String::from("indexes: []\n") } else { format!("indexes:\n{text}") }
}

/// What fleet.yaml has against this index: its reader alone knows which URLs it takes.
fn refused_by_fleet(line: &str) -> Option<(String, String)> {
    let probe = format!("version: 1\nindexes:\n{line}rules_files: [{{host: /x}}]\n");
    let findings = fleet::parse(fleet::FILE_NAME, &probe).err()?;
    let first = findings.as_slice().first()?;
    Some((first.message.clone(), first.hint.clone()))
}

/// The text under a key, whatever its case.
pub(super) fn field<'n>(item: &'n Node, key: &str) -> Option<&'n str> {
    let Value::Mapping(entries) = &item.value else { return None };
    let entry = entries.iter().find(|entry| entry.key.to_lowercase() == key)?;
    match &entry.value.value {
        Value::Scalar { text, .. } if !entry.value.is_null() => Some(text),
        _ => None,
    }
}

/// Text in double quotes, as JSON and YAML both read it.
pub(super) fn quoted(text: &str) -> String {
    Json::String(text.to_string()).to_string()
}
