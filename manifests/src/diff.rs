//! The changes between what is live and what is wanted.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::composition::{Composition, Origin, PlacedFile, PlacedPlugin, RulesFile};
use crate::lockfile::LockedArtifact;

/// One change of what Falco loads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "WrittenChange")]
pub struct Change {
    /// Of which kind.
    pub kind: ChangeKind,
    /// What: the name of an artifact, a path, or a key of Falco's configuration.
    pub name: String,
    /// Why.
    pub because: String,
}

/// A change as programs read it.
#[derive(Serialize)]
struct WrittenChange {
    kind: ChangeKind,
    cause: Cause,
    name: String,
    because: String,
}

impl From<Change> for WrittenChange {
    fn from(Change { kind, name, because }: Change) -> Self {
        Self { kind, cause: kind.cause(), name, because }
    }
}

/// What a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The desired state has changed.
    Intended,
    /// The host has changed, and is put right.
    Corrective,
    /// What is live comes back to what was good before.
    Restoring,
}

impl Cause {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Corrective => "corrective",
            Self::Restoring => "restoring",
        }
    }
}

/// The kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Something is loaded that was not.
    Add,
    /// Something is loaded with other content.
    Update,
    /// Something is no longer loaded.
    Remove,
    /// The order of the rules files changes.
    Reorder,
    /// Drift is put right.
    Heal,
    /// Falco is asked to load what is already in place.
    Reload,
    /// The last good generation comes back.
    Restore,
}

impl ChangeKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Remove => "remove",
            Self::Reorder => "reorder",
            Self::Heal => "heal",
            Self::Reload => "reload",
            Self::Restore => "restore",
        }
    }

    /// What a change of this kind comes from.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::Add | Self::Update | Self::Remove | Self::Reorder => Cause::Intended,
            Self::Heal | Self::Reload => Cause::Corrective,
            Self::Restore => Cause::Restoring,
        }
    }
}

/// The changes that lead from `live` to `wanted`, in the order of the rules files, settings last.
#[must_use]
pub fn diff(live: Option<&Composition>, wanted: &Composition) -> Vec<Change> {
    let old = live.map(loaded).unwrap_or_default();
    let new = loaded(wanted);
    let by = format!("revision {}", wanted.revision.short());
    let mut changes = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, content) in &new {
        if !seen.insert(name) {
            continue;
        }
        let before: Vec<_> = old.iter().filter(|(other, _)| other == name).map(|(_, content)| content).collect();
        let now: Vec<_> = new.iter().filter(|(other, _)| other == name).map(|(_, content)| content).collect();
        let what = describe(wanted, name, content);
        match before.is_empty() {
            true => changes.push(change(ChangeKind::Add, name, format!("{by} asks for {what}"))),
            false if before != now => {
                let was = live.map(|live| describe(live, name, before.first().map_or("", |content| content)));
                let was = was.unwrap_or_default();
                changes.push(change(ChangeKind::Update, name, format!("{by} asks for {what}, live is {was}")));
            }
            false => {}
        }
    }
    for (name, _) in &old {
        if !new.iter().any(|(other, _)| other == name) && seen.insert(name) {
            changes.push(change(ChangeKind::Remove, name, format!("{by} no longer asks for it")));
        }
    }
    if changes.is_empty() && old != new {
        changes.push(change(ChangeKind::Reorder, "rules_files", format!("{by} has another order")));
    }
    changes.extend(setting_changes(live, wanted, &by));
    changes
}

fn setting_changes(live: Option<&Composition>, wanted: &Composition, by: &str) -> Vec<Change> {
    let none = BTreeMap::new();
    let old = live.map_or(&none, |live| &live.settings);
    let mut changes = Vec::new();
    for (key, value) in &wanted.settings {
        match old.get(key) {
            None => changes.push(change(ChangeKind::Add, key, format!("{by} sets it to {value}"))),
            Some(before) if before != value => {
                changes.push(change(ChangeKind::Update, key, format!("it is to be {value}, live is {before}")));
            }
            Some(_) => {}
        }
    }
    let gone = old.keys().filter(|key| !wanted.settings.contains_key(*key));
    changes.extend(gone.map(|key| change(ChangeKind::Remove, key, format!("{by} no longer sets it"))));
    changes
}

/// What is loaded: a name and what stands for its content and its origin, in order.
fn loaded(composition: &Composition) -> Vec<(String, String)> {
    let entry = |file: &RulesFile| match file {
        RulesFile::Placed(placed) => {
            let artifact = match &placed.origin {
                Origin::Artifact { name, .. } => composition.lockfile.artifact(name),
                Origin::Repository { .. } => None,
            };
            let from =
                |artifact: &LockedArtifact| format!("{} from {} {}", placed.sha256, artifact.source, artifact.version);
            (placed.origin.name().to_string(), artifact.map_or_else(|| placed.sha256.to_string(), from))
        }
        RulesFile::Host(path) => (path.to_string(), String::new()),
    };
    let plugin = |plugin: &PlacedPlugin| (plugin.name.to_string(), plugin.directory.to_string());
    let asset = |asset: &PlacedFile| (asset.origin.name().to_string(), format!("{} {}", asset.path, asset.sha256));
    let rules_files = composition.rules_files.iter().map(entry);
    rules_files.chain(composition.plugins.iter().map(plugin)).chain(composition.assets.iter().map(asset)).collect()
}

/// What a name stands for in a composition, for people.
fn describe(composition: &Composition, name: &str, content: &str) -> String {
    let artifact = composition.lockfile.artifacts.iter().find(|artifact| artifact.name.as_str() == name);
    match artifact {
        Some(artifact) if artifact.version.is_empty() => {
            format!("{} ({})", artifact.requested, artifact.digest.short())
        }
        Some(artifact) => format!("{} ({})", artifact.version, artifact.digest.short()),
        None if content.is_empty() => "the host's own file".to_string(),
        None => content.strip_prefix("sha256:").and_then(|hex| hex.get(..12)).unwrap_or(content).to_string(),
    }
}

fn change(kind: ChangeKind, name: &str, because: String) -> Change {
    Change { kind, name: name.to_string(), because }
}
