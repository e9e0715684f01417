//! From falcoctl's configuration file to a desired state.
//!
//! The file is that of falcoctl 0.13 (`internal/config/config.go`), read as leniently as viper reads it: keys in any case,
//! lists also as one text with `;` between the items, keys that nobody knows passed over. What has no place in a
//! fleet.yaml becomes lines for agent.toml or a note; secrets are never repeated.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::finding::{Finding, Findings};
use crate::yaml::{self, Mark, Node, Problems, Value};

mod agent;
mod artifacts;
mod directories;
pub(crate) mod duration;
mod fleet;
#[cfg(test)]
mod tests;

pub use directories::{Directories, directories};

/// The size in bytes that a falcoctl.yaml may have.
pub const FALCOCTL_CAP: usize = 1 << 20;

/// What a falcoctl.yaml became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The text of a fleet.yaml; [`crate::fleet::parse`] takes it.
    pub fleet: String,
    /// Lines for agent.toml of the hosts, to be copied by hand; empty when there is nothing to say.
    pub agent: String,
    /// What was not carried over, or not as it stood, each with its line in falcoctl.yaml.
    pub notes: Vec<Finding>,
}

/// Makes a desired state of a falcoctl.yaml of at most [`FALCOCTL_CAP`] bytes; `file` is the name that findings give.
///
/// # Errors
/// Findings when the text is no YAML or no map. Anything else that cannot be understood becomes a note.
pub fn import(file: &str, text: &str) -> Result<Imported, Findings> {
    let parsed = yaml::parse_lenient(file, text, FALCOCTL_CAP)?;
    let mut notes = Problems::with(file, parsed.findings);
    let mut keys = Keys::default();
    if let Some(root) = parsed.documents.first().filter(|root| !root.is_null()) {
        let mut wrong = Problems::new(file);
        wrong.mapping(root, "falcoctl's configuration as a map", "name falcoctl's configuration file, falcoctl.yaml");
        wrong.finish(())?;
        keys.add(root, "");
    }
    keys.note_what_stays_behind(&mut notes);
    let artifacts = artifacts::read(&keys, &mut notes);
    let fleet = fleet::render(&keys, &artifacts, &mut notes);
    let agent = agent::render(&keys, &mut notes);
    let mut notes = notes.into_findings();
    notes.sort();
    notes.dedup();
    Ok(Imported { fleet, agent, notes })
}

/// Keys that hold keys which are known.
const SECTIONS: [&str; 6] =
    ["artifact", "artifact.follow", "artifact.install", "registry", "registry.auth", "registry.creds"];

/// Keys that are carried over, or that are judged where they are read.
const READ: [&str; 11] = [
    "indexes",
    "artifact.allowedtypes",
    "artifact.install.refs",
    "artifact.install.resolvedeps",
    "artifact.follow.refs",
    "artifact.follow.every",
    "artifact.follow.cron",
    "artifact.follow.falcoversions",
    "registry.auth.basic",
    "registry.auth.oauth",
    "registry.creds.config",
];

const OWN_PLACE: &str = "falconer keeps what it places in its own state directory and tells Falco where it is";
const OWN_STATE: &str = "falconer keeps its state under `[paths] state` of agent.toml";

/// Keys that have no place with falconer, in lower case, and what there is instead.
const LEFT_BEHIND: [(&str, &str); 12] = [
    ("artifact.noverify", "fleet.yaml has no such switch"),
    ("artifact.install.rulesfilesdir", OWN_PLACE),
    ("artifact.install.pluginsdir", OWN_PLACE),
    ("artifact.install.assetsdir", OWN_PLACE),
    ("artifact.install.statedir", OWN_STATE),
    ("artifact.follow.rulesfilesdir", OWN_PLACE),
    ("artifact.follow.pluginsdir", OWN_PLACE),
    ("artifact.follow.assetsdir", OWN_PLACE),
    ("artifact.follow.statedir", OWN_STATE),
    ("artifact.follow.tmpdir", OWN_STATE),
    ("artifact.follow.startupbehavior", "falconer makes its first pass as soon as it starts"),
    ("registry.auth.gcp", "let falconer's service use a docker config file with the credential helper of Google Cloud"),
];

const DRIVER: &str = "driver";
const DRIVER_HINT: &str = "falconer leaves drivers alone; go on using falcoctl for them";

/// The values of the file under their keys: joined by dots, in lower case.
#[derive(Debug, Default)]
struct Keys<'n> {
    entries: Vec<(String, Mark, &'n Node)>,
}

impl<'n> Keys<'n> {
    fn add(&mut self, node: &'n Node, before: &str) {
        let Value::Mapping(entries) = &node.value else { return };
        for entry in entries {
            let key = entry.key.to_lowercase();
            let path = if before.is_empty() { key } else { alloc::format!("{before}.{key}") };
            match (&entry.value.value, SECTIONS.contains(&path.as_str())) {
                (Value::Mapping(_), true) => self.add(&entry.value, &path),
                _ if entry.value.is_null() => {}
                _ => self.entries.push((path, entry.key_at, &entry.value)),
            }
        }
    }

    fn get(&self, path: &str) -> Option<(Mark, &'n Node)> {
        self.entries.iter().find(|(known, ..)| known == path).map(|(_, at, node)| (*at, *node))
    }

    fn note_what_stays_behind(&self, notes: &mut Problems<'_>) {
        for (path, at, _) in &self.entries {
            let path = path.as_str();
            let hint = match LEFT_BEHIND.iter().find(|(known, _)| *known == path) {
                Some((_, hint)) => hint,
                None if path == DRIVER => DRIVER_HINT,
                None if READ.contains(&path) => continue,
                None => "falcoctl 0.13 does not know this key either; check its spelling",
            };
            notes.report(*at, alloc::format!("`{}` is not carried over", yaml::shown(path)), hint);
        }
    }
}

/// The texts of a list, each with its place; of one text those between `;`, as falcoctl takes it from its environment.
fn texts(notes: &mut Problems<'_>, at: Mark, key: &str, node: &Node) -> Vec<(Mark, String)> {
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        _ => core::slice::from_ref(node),
    };
    let mut texts = Vec::new();
    for item in items {
        match &item.value {
            Value::Scalar { text, .. } if !item.is_null() => {
                // Where the second reader had to help, nodes do not know their places.
                let at = if item.at == Mark::default() { at } else { item.at };
                let parts = if items.len() == 1 { text.split(';').collect() } else { alloc::vec![text.as_str()] };
                texts.extend(
                    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).map(|part| (at, part.to_string())),
                );
            }
            _ => notes.report(item.at, alloc::format!("an item of `{key}` is no text"), "add it to fleet.yaml by hand"),
        }
    }
    texts
}
