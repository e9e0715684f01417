//! From the tree to the desired state.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{DEFAULT_INDEX, DesiredState, FLEET_CAP, IndexEntry, Setting, artifacts, rules_files, windows};
use crate::admit::Facts;
use crate::dependencies::Mode;
use crate::finding::Findings;
use crate::index::IndexLocation;
use crate::name::IndexName;
use crate::yaml::{self, Fields, Mark, Node, Problems, shown};

/// The version of the document that this falconer reads.
const VERSION: i128 = 1;

const KEYS: [&str; 9] =
    ["version", "indexes", "artifacts", "dependencies", "falco", "rules_files", "config", "windows", "suspend"];

/// Keys of falco.yaml that do not belong under `config`, and what to do instead.
const NOT_SETTINGS: [(&str, &str); 5] = [
    ("rules_files", "falconer writes this key: list the files under `rules_files` of this document itself"),
    ("rules_file", "falconer writes this key: list the files under `rules_files` of this document itself"),
    ("config_files", "falconer writes this key: set the keys that the included files would set under `config`"),
    (
        "plugins",
        "falconer writes this key for the plugins under `artifacts`, which take `init_config` and `open_params`",
    ),
    (
        "load_plugins",
        "falconer writes this key for the plugins under `artifacts`, which take `init_config` and `open_params`",
    ),
];

pub(super) fn desired_state(file: &str, text: &str) -> Result<DesiredState, Findings> {
    let parsed = yaml::parse(file, text, FLEET_CAP)?;
    let mut problems = Problems::with(file, parsed.findings);
    let state = match parsed.documents.first() {
        Some(root) if !root.is_null() => document(&mut problems, root),
        _ => {
            problems.report(Mark::default(), "the document is empty", "start with `version: 1` and `rules_files:`");
            None
        }
    };
    let empty = DesiredState {
        indexes: Vec::new(),
        artifacts: Vec::new(),
        dependencies: Mode::Check,
        falco: None,
        rules_files: Vec::new(),
        config: Vec::new(),
        windows: Vec::new(),
        suspension: None,
    };
    problems.finish(state.unwrap_or(empty))
}

fn document(problems: &mut Problems<'_>, root: &Node) -> Option<DesiredState> {
    let fields = problems.fields(root, "the desired state as a map", &KEYS, &[])?;
    version(problems, fields);
    let indexes = match fields.get("indexes") {
        Some(node) => indexes(problems, node),
        None => default_index(problems).into_iter().collect(),
    };
    let artifacts = fields.get("artifacts").map(|node| artifacts::decode(problems, node)).unwrap_or_default();
    let rules_files = rules_files::decode(problems, fields, &artifacts);
    let config = fields.get("config").map(|node| config(problems, node)).unwrap_or_default();
    let dependencies = fields.get("dependencies").and_then(|node| dependencies(problems, node));
    let dependencies = dependencies.unwrap_or(Mode::Check);
    let falco = fields.get("falco").and_then(|node| {
        let text = problems.text(node, "a release of Falco as text", "write it in quotes, e.g. falco: \"0.44\"")?;
        problems.accepted(node.at, Facts::of_release(text))
    });
    let windows = fields.get("windows").map(|node| windows::decode(problems, node)).unwrap_or_default();
    let suspension = fields.get("suspend").and_then(|node| windows::suspension(problems, node));
    Some(DesiredState { indexes, artifacts, dependencies, falco, rules_files, config, windows, suspension })
}

fn dependencies(problems: &mut Problems<'_>, node: &Node) -> Option<Mode> {
    let hint = "write `check`: what artifacts need is left to the hosts; or `install`: it comes too";
    match problems.text(node, "what becomes of dependencies", hint)? {
        "check" => Some(Mode::Check),
        "install" => Some(Mode::Install),
        other => {
            problems.report(node.at, format!("`{}` is nothing that dependencies can become", shown(other)), hint);
            None
        }
    }
}

fn version(problems: &mut Problems<'_>, fields: Fields<'_>) {
    let hint = format!("write `version: {VERSION}`");
    let Some(node) = fields.get("version") else {
        problems.report(fields.at, "the key `version` is missing", hint);
        return;
    };
    match problems.integer(node, "the version of the document as a number", &hint) {
        None | Some(VERSION) => {}
        Some(other) => {
            let message =
                format!("version {other} of the document is not known; this falconer reads version {VERSION}");
            problems.report(node.at, message, "write `version: 1`, or bring the hosts a falconer that reads it");
        }
    }
}

fn default_index(problems: &Problems<'_>) -> Option<IndexEntry> {
    let (name, url) = DEFAULT_INDEX;
    let name = IndexName::parse(name).ok()?;
    Some(IndexEntry { name, url: url.to_string(), at: problems.location(Mark::default()) })
}

fn indexes(problems: &mut Problems<'_>, node: &Node) -> Vec<IndexEntry> {
    let hint = "write `- {name: NAME, url: URL}`, or `indexes: []` for none";
    let mut entries = Vec::new();
    let mut seen = BTreeMap::new();
    for item in problems.sequence(node, "a list of indexes", hint).unwrap_or_default() {
        let keys = ["name", "url"];
        let Some(fields) = problems.fields(item, "an index as a map", &keys, &keys) else { continue };
        let name = fields.get("name").and_then(|node| problems.parsed(node, "a name", IndexName::parse));
        let url = fields.get("url").and_then(|node| {
            let text = problems.text(node, "a URL", "write https://…, http://…, file:///… or oci://…")?;
            IndexLocation::parse(text)
                .map_err(|error| problems.report(node.at, error.message, error.hint))
                .is_ok()
                .then(|| text.to_string())
        });
        let (Some(name), Some(url)) = (name, url) else { continue };
        if let Some(first) = seen.insert(name.clone(), item.at.line) {
            let message = format!("the index `{name}` stands twice, first in line {first}");
            problems.report(item.at, message, "give it another name, or take it out");
        }
        entries.push(IndexEntry { name, url, at: problems.location(item.at) });
    }
    entries
}

fn config(problems: &mut Problems<'_>, node: &Node) -> Vec<Setting> {
    let hint = "write keys of falco.yaml with their values, e.g. `config: {priority: warning}`";
    let mut settings: Vec<Setting> = Vec::new();
    for entry in problems.mapping(node, "a map of settings", hint).unwrap_or_default() {
        if let Some((key, hint)) = NOT_SETTINGS.iter().find(|(key, _)| *key == entry.key) {
            problems.report(entry.key_at, format!("the key `{key}` is not set under `config`"), *hint);
            continue;
        }
        if entry.key.is_empty() {
            problems.report(entry.key_at, "a setting has no key", "name a key of falco.yaml");
            continue;
        }
        let value = problems.json(&entry.value);
        settings.push(Setting { key: entry.key.clone(), value, at: problems.location(entry.key_at) });
    }
    settings
}
