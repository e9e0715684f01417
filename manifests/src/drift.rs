//! Drift: differences that the host caused, not the repository.

mod policy;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::composition::{INCLUDE, PlacedPlugin};
use crate::digest::Digest;
use crate::generation::{DIRECTORY_MODE, FILE_MODE, GenerationNumber, MANIFEST, Record};
use crate::ledger::Attachment;
use crate::name::{AbsolutePath, RelativePath};
use crate::observed::{
    ConfigMode, Entry, Inclusion, Observed, ObservedGeneration, ObservedPlugin, Permissions, Pointer,
};

pub use policy::DriftPolicy;

/// One difference that the host caused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Of which kind.
    pub kind: DriftKind,
    /// Where: an absolute path on the host.
    pub path: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub observed: String,
}

/// The kinds of drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// A file has other bytes.
    Modified,
    /// A file is not there.
    Missing,
    /// Something is there that nobody declared.
    Extra,
    /// A file or a directory has other permissions.
    Mode,
    /// A file or a directory belongs to another user.
    Owner,
    /// Something else is in place of a file, e.g. a link or a directory.
    Replaced,
    /// falco.yaml no longer names what is live.
    Config,
    /// On disk, but not in the running Falco.
    NotLoaded,
}

impl DriftKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Modified,
        Self::Missing,
        Self::Extra,
        Self::Mode,
        Self::Owner,
        Self::Replaced,
        Self::Config,
        Self::NotLoaded,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modified => "modified",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Replaced => "replaced",
            Self::Config => "config",
            Self::NotLoaded => "not-loaded",
        }
    }

    /// What has happened to a thing, for a sentence about it.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Modified => "modified",
            Self::Missing => "missing",
            Self::Extra => "not falconer's own",
            Self::Mode => "of another mode",
            Self::Owner => "of another owner",
            Self::Replaced => "replaced",
            Self::Config => "not as falconer needs it",
            Self::NotLoaded => "not loaded by Falco",
        }
    }
}

/// All drift of the host, sorted. Nothing is drift where nothing was ever placed, or falco.yaml was taken from us.
#[must_use]
pub fn drift(observed: &Observed) -> Vec<Drift> {
    if observed.ledger.attachment == Attachment::Ejected {
        return Vec::new();
    }
    let mut drift = damage(observed);
    if let (Some(_), Some(Inclusion::Not(how))) = (observed.ledger.good, &observed.falco.inclusion) {
        drift.push(Drift {
            kind: DriftKind::Config,
            path: observed.falco.config_file.clone(),
            expected: match observed.falco.mode {
                ConfigMode::Include => format!("config_files ends with {}/current/{INCLUDE}", observed.state),
                ConfigMode::Edit => format!("the keys of {}/current", observed.state),
            },
            observed: how.clone(),
        });
    }
    if drift.is_empty() && observed.ledger.good == observed.live().map(|(number, _)| number) {
        drift = not_loaded(observed);
    }
    drift.extend(strays(observed).map(|(_, drift)| drift));
    drift.sort();
    drift
}

/// What is not as it was placed: `current`, the generation that is meant to be live, and its plugins.
#[must_use]
pub fn damage(observed: &Observed) -> Vec<Drift> {
    let mut damage = pointer_drift(observed);
    // Whoever moves the pointer away does not hide what was done to the generation that it should name.
    let meant = match damage.is_empty() {
        true => observed.live().map(|(number, _)| number),
        false => observed.ledger.good,
    };
    if let Some((number, generation)) = meant.and_then(|number| observed.generations.get_key_value(&number)) {
        damage.extend(generation_drift(observed, *number, generation));
        let plugins = generation.record.iter().flat_map(|record| &record.composition.plugins);
        damage.extend(plugins.flat_map(|plugin| plugin_drift(observed, plugin)));
    }
    damage.sort();
    damage
}

/// What lies among our generations and plugins and was never placed by us, by its path in the state directory.
pub fn strays(observed: &Observed) -> impl Iterator<Item = (&RelativePath, Drift)> {
    observed.strays.iter().map(|(path, entry)| {
        let drift = Drift {
            kind: DriftKind::Extra,
            path: observed.state.join(path).to_string(),
            expected: "nothing".to_string(),
            observed: describe(entry),
        };
        (path, drift)
    })
}

/// Whether nothing in the generation's directory, or in those of its plugins, differs from its record.
#[must_use]
pub fn is_intact(observed: &Observed, number: GenerationNumber) -> bool {
    let Some(generation) = observed.generations.get(&number) else { return false };
    let Some(record) = &generation.record else { return false };
    generation.entries.is_some()
        && generation_drift(observed, number, generation).is_empty()
        && record.composition.plugins.iter().all(|plugin| plugin_is_intact(observed, plugin))
}

/// Whether a plugin is on disk, whole and as it must be.
#[must_use]
pub fn plugin_is_intact(observed: &Observed, plugin: &PlacedPlugin) -> bool {
    let is_looked_into = |plugin: &ObservedPlugin| plugin.entries.is_some();
    observed.plugins.get(&plugin.directory).is_some_and(is_looked_into) && plugin_drift(observed, plugin).is_empty()
}

fn plugin_drift(observed: &Observed, plugin: &PlacedPlugin) -> Vec<Drift> {
    let root = observed.state.join(&plugin.directory);
    let nothing = BTreeMap::new();
    let (mut drift, entries) = match observed.plugins.get(&plugin.directory) {
        Some(found) => match (root_drift(root.as_str(), found.root.as_ref()), &found.entries) {
            (Err(replaced), _) => return alloc::vec![replaced],
            (Ok(drift), Some(entries)) => (drift, entries),
            // On disk, and nobody has looked into it.
            (Ok(_), None) => return Vec::new(),
        },
        None => (Vec::new(), &nothing),
    };
    let expected = plugin.files.iter().map(|file| (file.path.as_str(), &file.sha256)).collect();
    drift.extend(directory_drift(&root, &expected, entries));
    drift
}

/// How a directory of ours differs itself; `Err` when something else stands in its place.
fn root_drift(path: &str, root: Option<&Entry>) -> Result<Vec<Drift>, Drift> {
    match root {
        None => Ok(Vec::new()),
        Some(Entry::Directory { permissions }) => Ok(permission_drift(path, permissions, DIRECTORY_MODE).collect()),
        Some(other) => Err(Drift {
            kind: DriftKind::Replaced,
            path: path.to_string(),
            expected: "a directory".to_string(),
            observed: describe(other),
        }),
    }
}

fn pointer_drift(observed: &Observed) -> Vec<Drift> {
    let Some(good) = observed.ledger.good else { return Vec::new() };
    let expected = || observed.ledger.trial.unwrap_or(good).directory().to_string();
    let (kind, seen) = match &observed.current {
        Pointer::Missing => (DriftKind::Missing, "nothing".to_string()),
        Pointer::Foreign(what) => (DriftKind::Replaced, what.clone()),
        Pointer::Generation(number) if *number == good || Some(*number) == observed.ledger.trial => {
            return match observed.generations.contains_key(number) {
                true => Vec::new(),
                false => alloc::vec![Drift {
                    kind: DriftKind::Missing,
                    path: format!("{}/{}", observed.state, number.directory()),
                    expected: "a generation".to_string(),
                    observed: "nothing".to_string(),
                }],
            };
        }
        Pointer::Generation(number) => (DriftKind::Modified, number.directory().to_string()),
    };
    alloc::vec![Drift { kind, path: format!("{}/current", observed.state), expected: expected(), observed: seen }]
}

fn generation_drift(observed: &Observed, number: GenerationNumber, generation: &ObservedGeneration) -> Vec<Drift> {
    let root = format!("{}/{}", observed.state, number.directory());
    let path = |path: &str| format!("{root}/{path}");
    let mut drift = match root_drift(&root, generation.root.as_ref()) {
        Ok(drift) => drift,
        Err(replaced) => return alloc::vec![replaced],
    };
    let Some(entries) = &generation.entries else { return drift };
    let Some(record) = &generation.record else {
        let remembered = observed.ledger.record_digest(number);
        let expected = remembered.map_or_else(|| "a record that the ledger knows".to_string(), ToString::to_string);
        let entry = entries.iter().find(|(path, _)| path.as_str() == MANIFEST).map(|(_, entry)| entry);
        let (kind, seen) = match entry {
            None => (DriftKind::Missing, "nothing".to_string()),
            Some(entry @ Entry::File { .. }) => (DriftKind::Modified, describe(entry)),
            Some(other) => (DriftKind::Replaced, describe(other)),
        };
        drift.push(Drift { kind, path: path(MANIFEST), expected, observed: seen });
        return drift;
    };
    let expected = expected_files(record, observed.ledger.record_digest(number));
    drift.extend(directory_drift(&observed.state.join(&number.directory()), &expected, entries));
    drift
}

/// How a directory differs from the files that must be in it, and nothing else.
fn directory_drift(
    root: &AbsolutePath,
    expected: &BTreeMap<&str, &Digest>,
    entries: &BTreeMap<RelativePath, Entry>,
) -> Vec<Drift> {
    let path = |path: &str| format!("{root}/{path}");
    let mut drift = Vec::new();
    let found: BTreeMap<_, _> = entries.iter().map(|(path, entry)| (path.as_str(), entry)).collect();
    for (file, digest) in expected {
        let differs =
            |kind, seen: String| Drift { kind, path: path(file), expected: digest.to_string(), observed: seen };
        match found.get(file) {
            None => drift.push(differs(DriftKind::Missing, "nothing".to_string())),
            Some(Entry::File { sha256, permissions, .. }) => {
                if sha256.as_ref() != Some(*digest) {
                    let seen = sha256.as_ref().map_or_else(|| "cannot be read".to_string(), ToString::to_string);
                    drift.push(differs(DriftKind::Modified, seen));
                }
                drift.extend(permission_drift(&path(file), permissions, FILE_MODE));
            }
            Some(other) => drift.push(differs(DriftKind::Replaced, describe(other))),
        }
    }
    let is_parent = |directory: &RelativePath| {
        expected.keys().any(|file| file.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/')))
    };
    for (file, entry) in entries {
        if let Entry::Directory { permissions } = entry
            && is_parent(file)
        {
            drift.extend(permission_drift(&path(file.as_str()), permissions, DIRECTORY_MODE));
        } else if !expected.contains_key(file.as_str()) {
            drift.push(Drift {
                kind: DriftKind::Extra,
                path: path(file.as_str()),
                expected: "nothing".to_string(),
                observed: describe(entry),
            });
        }
    }
    drift
}

fn permission_drift(path: &str, found: &Permissions, mode: u32) -> impl Iterator<Item = Drift> {
    let differs = |kind, expected: String, observed: String| Drift { kind, path: path.to_string(), expected, observed };
    let bits = |mode| format!("{mode:04o}");
    let of_mode = (found.mode != mode).then(|| differs(DriftKind::Mode, bits(mode), bits(found.mode)));
    let of_owner = found
        .stranger
        .map(|user| differs(DriftKind::Owner, "the user that falconer runs as".to_string(), format!("user {user}")));
    of_mode.into_iter().chain(of_owner)
}

/// The recorded files and the record itself, whose digest the ledger remembers.
fn expected_files<'a>(record: &'a Record, manifest: Option<&'a Digest>) -> BTreeMap<&'a str, &'a Digest> {
    let files = record.files.iter().map(|file| (file.path.as_str(), &file.sha256));
    files.chain(manifest.map(|digest| (MANIFEST, digest))).collect()
}

fn not_loaded(observed: &Observed) -> Vec<Drift> {
    let (Some(record), Some(loaded)) = (observed.live_record(), &observed.falco.loaded) else { return Vec::new() };
    let root = format!("{}/{}", observed.state, record.generation.directory());
    let not_loaded = |path: &str, expected: &Digest, seen: &[Digest]| {
        let digests = seen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        (!seen.contains(expected)).then(|| Drift {
            kind: DriftKind::NotLoaded,
            path: format!("{root}/{path}"),
            expected: expected.to_string(),
            observed: if seen.is_empty() { "not loaded by Falco".to_string() } else { digests },
        })
    };
    let rules = record.composition.placed();
    let rules = rules.map(|file| (file.path.as_str(), &file.sha256, loaded.rules_digests(file.path.base_name())));
    let include = record.files.iter().filter(|file| {
        file.path.as_str() == INCLUDE && loaded.tells_config() && observed.falco.mode == ConfigMode::Include
    });
    let include = include.map(|file| (INCLUDE, &file.sha256, loaded.config_digests(INCLUDE)));
    rules.chain(include).filter_map(|(path, expected, seen)| not_loaded(path, expected, seen)).collect()
}

fn describe(entry: &Entry) -> String {
    match entry {
        Entry::File { sha256: Some(sha256), .. } => sha256.to_string(),
        Entry::File { sha256: None, size, .. } => format!("a file of {size} bytes that cannot be read"),
        Entry::Directory { .. } => "a directory".to_string(),
        Entry::Other(what) => what.clone(),
    }
}
