//! What a generation is made of: the desired state, pinned, in the shape in which Falco loads it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::artifact::ArtifactType;
use crate::digest::Digest;
use crate::falco_config::{self, Include};
use crate::finding::{Finding, Findings, Location};
use crate::fleet::{DesiredState, RulesEntry};
use crate::generation::GenerationNumber;
use crate::lockfile::{LockedArtifact, LockedFile, Lockfile};
use crate::name::{AbsolutePath, ArtifactName, RelativePath};
use crate::revision::Revision;

/// The file that Falco's falco.yaml includes. Falco's metric for configuration files has base names only, so it is
/// told from falco.yaml by its name.
pub const INCLUDE: &str = "falconer.yaml";

/// The include as falco.yaml names it, for a state directory at `state`: through `current`, so that making another
/// generation live leaves falco.yaml alone.
#[must_use]
pub fn include_path(state: &AbsolutePath) -> AbsolutePath {
    state.join(&RelativePath::known(format!("current/{INCLUDE}")))
}

/// The include of one generation.
#[must_use]
pub fn generation_include_path(state: &AbsolutePath, generation: GenerationNumber) -> AbsolutePath {
    state.join(&generation.directory()).join(&RelativePath::known(INCLUDE))
}

/// What a generation is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// The revision that asked for it.
    pub revision: Revision,
    /// Its artifacts, pinned.
    pub lockfile: Lockfile,
    /// All rules files, in the order in which Falco loads them.
    pub rules_files: Vec<RulesFile>,
    /// Top-level keys of Falco's configuration that the desired state touches, with their whole values.
    pub settings: BTreeMap<String, Value>,
}

/// One entry of the list of rules files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RulesFile {
    /// A file in the generation.
    Placed(PlacedFile),
    /// A file or directory that the host's owner keeps.
    Host(AbsolutePath),
}

/// A rules file in a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedFile {
    /// Its path in the generation. The base name is unique among all rules files, because Falco's metrics give no more.
    pub path: RelativePath,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Where its bytes come from.
    pub origin: Origin,
}

/// Where the bytes of a rules file come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A file in the archive of an artifact.
    Artifact {
        /// The artifact.
        name: ArtifactName,
        /// The path in its archive.
        entry: RelativePath,
        /// The digest of the archive.
        layer: Digest,
    },
    /// A file of the desired-state repository.
    Repository {
        /// The path as the desired state names it.
        path: RelativePath,
    },
}

/// A file of the desired-state repository, as read at the revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFile {
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Origin {
    /// What changes are reported under: the name of the artifact, or the path in the repository.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Artifact { name, .. } => name.as_str(),
            Self::Repository { path } => path.as_str(),
        }
    }
}

impl Composition {
    /// The files in the generation that Falco loads as rules.
    pub fn placed(&self) -> impl Iterator<Item = &PlacedFile> {
        self.rules_files.iter().filter_map(|file| match file {
            RulesFile::Placed(placed) => Some(placed),
            RulesFile::Host(_) => None,
        })
    }

    /// The files and directories that the host's owner keeps.
    pub fn kept_by_host(&self) -> impl Iterator<Item = &AbsolutePath> {
        self.rules_files.iter().filter_map(|file| match file {
            RulesFile::Host(path) => Some(path),
            RulesFile::Placed(_) => None,
        })
    }

    /// Whether Falco would load the same from both, whatever revision asked for them.
    #[must_use]
    pub fn loads_same_as(&self, other: &Self) -> bool {
        let loaded = |file: &RulesFile| match file {
            RulesFile::Placed(placed) => (placed.path.to_string(), Some(placed.sha256.clone())),
            RulesFile::Host(path) => (path.to_string(), None),
        };
        self.settings == other.settings && self.rules_files.iter().map(loaded).eq(other.rules_files.iter().map(loaded))
    }

    /// Whether a generation of the one can stand for the other: Falco would load the same, and it comes from the same
    /// artifacts. An artifact may be published again under another version without a change of its rules.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let artifact = |artifact: &LockedArtifact| {
            (artifact.name.clone(), artifact.source.clone(), artifact.version.clone(), artifact.digest.clone())
        };
        let artifacts = |composition: &Self| composition.lockfile.artifacts.iter().map(artifact).collect::<Vec<_>>();
        self.loads_same_as(other) && artifacts(self) == artifacts(other)
    }

    /// The digest of what Falco would load: equal exactly when [`Self::loads_same_as`] says so.
    #[must_use]
    pub fn content_digest(&self) -> Digest {
        let mut text = String::new();
        for file in &self.rules_files {
            match file {
                RulesFile::Placed(placed) => text.push_str(&format!("placed {} {}\n", placed.path, placed.sha256)),
                RulesFile::Host(path) => text.push_str(&format!("host {path}\n")),
            }
        }
        for (key, value) in &self.settings {
            text.push_str(&format!("setting {key} {value}\n"));
        }
        Digest::of(text.as_bytes())
    }

    /// The text of the include for a generation whose directory is `root`.
    ///
    /// It names the rules files by the generation's real path, so that what a Falco has loaded does not change under it.
    #[must_use]
    pub fn include(&self, root: &AbsolutePath) -> String {
        let path = |file: &RulesFile| match file {
            RulesFile::Placed(placed) => root.join(&placed.path).to_string(),
            RulesFile::Host(path) => path.to_string(),
        };
        let include =
            Include { rules_files: self.rules_files.iter().map(path).collect(), settings: self.settings.clone() };
        include.render("Written by falconer from the desired state; a change here is drift and does not last.")
    }
}

/// Puts together what `desired`, pinned by `lockfile`, means on a host whose own Falco settings are `host`.
///
/// `files` holds every repository file that `desired` names.
///
/// # Errors
/// Findings at their place in the desired state: an artifact that is missing in the lockfile, is no rules file or holds
/// none, a file that is not in the repository, two rules files that Falco's metrics could not tell apart.
pub fn compose(
    revision: &Revision,
    desired: &DesiredState,
    lockfile: &Lockfile,
    files: &BTreeMap<RelativePath, RepositoryFile>,
    host: &Map<String, Value>,
) -> Result<Composition, Findings> {
    let mut findings = Vec::new();
    let mut rules_files = Vec::new();
    for (index, entry) in desired.rules_files.iter().enumerate() {
        let place = (index + 1) * 10;
        match entry {
            RulesEntry::Host { path, .. } => rules_files.push(RulesFile::Host(path.clone())),
            RulesEntry::Artifact { name, at } => match lockfile.artifact(name) {
                Some(artifact) => place_artifact(place, artifact, at, &mut rules_files, &mut findings),
                None => findings.push(Finding {
                    location: at.clone(),
                    message: format!("artifact `{name}` is not in the lockfile"),
                    hint: "run `falconer lock` and commit what it writes".to_string(),
                }),
            },
            RulesEntry::File { path, at } => match files.get(path) {
                Some(file) => rules_files.push(RulesFile::Placed(PlacedFile {
                    path: rules_path(&format!("{place:02}-{}", stem(path.base_name())), at)?,
                    sha256: file.sha256.clone(),
                    size: file.size,
                    origin: Origin::Repository { path: path.clone() },
                })),
                None => findings.push(Finding {
                    location: at.clone(),
                    message: format!("`{path}` is not in the repository"),
                    hint: "commit the file, or correct the path; it is relative to fleet.yaml".to_string(),
                }),
            },
        }
    }
    findings.extend(unused_artifacts(desired, lockfile));
    findings.extend(base_name_twice(desired, &rules_files));
    let desired_settings = desired.config.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect();
    let settings = falco_config::merge_settings(host, &desired_settings);
    let composition = Composition { revision: revision.clone(), lockfile: lockfile.clone(), rules_files, settings };
    Findings::none_or(findings, composition)
}

fn place_artifact(
    place: usize,
    artifact: &LockedArtifact,
    at: &Location,
    rules_files: &mut Vec<RulesFile>,
    findings: &mut Vec<Finding>,
) {
    let mut refuse = |message: String, hint: &str| {
        findings.push(Finding { location: at.clone(), message, hint: hint.to_string() });
    };
    let name = &artifact.name;
    if artifact.kind != ArtifactType::Rulesfile {
        return refuse(
            format!("artifact `{name}` is of type {}", artifact.kind),
            "only rulesfiles can be loaded as rules",
        );
    }
    let Some(content) = artifact.contents.first() else {
        return refuse(format!("artifact `{name}` has no content in the lockfile"), "run `falconer lock` again");
    };
    let is_rules = |file: &&LockedFile| file.path.as_str().ends_with(".yaml") || file.path.as_str().ends_with(".yml");
    let entries: Vec<_> = content.files.iter().filter(is_rules).collect();
    if entries.is_empty() {
        return refuse(
            format!("artifact `{name}` holds no file that ends in .yaml or .yml"),
            "Falco loads nothing else; publish the rules under such a name",
        );
    }
    let alone = entries.len() == 1;
    for (index, entry) in entries.into_iter().enumerate() {
        let base = match alone {
            true => format!("{place:02}-{name}"),
            false => format!("{place:02}-{name}-{index:02}-{}", stem(entry.path.base_name())),
        };
        match rules_path(&base, at) {
            Ok(path) => rules_files.push(RulesFile::Placed(PlacedFile {
                path,
                sha256: entry.sha256.clone(),
                size: entry.size,
                origin: Origin::Artifact {
                    name: name.clone(),
                    entry: entry.path.clone(),
                    layer: content.layer.clone(),
                },
            })),
            Err(more) => findings.extend_from_slice(more.as_slice()),
        }
    }
}

/// Rules that nobody loads protect nobody, so an artifact that no entry names is a mistake.
fn unused_artifacts(desired: &DesiredState, lockfile: &Lockfile) -> Vec<Finding> {
    let loaded: BTreeSet<_> = (desired.rules_files.iter())
        .filter_map(|entry| match entry {
            RulesEntry::Artifact { name, .. } => Some(name),
            _ => None,
        })
        .collect();
    let unused = desired.artifacts.iter().filter(|request| !loaded.contains(&request.name));
    let finding = |request: &crate::fleet::ArtifactRequest| {
        let kind = lockfile.artifact(&request.name).map_or(ArtifactType::Rulesfile, |artifact| artifact.kind);
        Finding {
            location: request.at.clone(),
            message: match kind {
                ArtifactType::Rulesfile => format!("artifact `{}` is in no entry of rules_files", request.name),
                other => format!("artifact `{}` is of type {other}, which falconer does not place yet", request.name),
            },
            hint: match kind {
                ArtifactType::Rulesfile => format!("add `- artifact: {}` where Falco is to load it", request.name),
                _ => "take it out of `artifacts`".to_string(),
            },
        }
    };
    unused.map(finding).collect()
}

fn base_name_twice(desired: &DesiredState, rules_files: &[RulesFile]) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for file in rules_files {
        let base = match file {
            RulesFile::Placed(placed) => placed.path.base_name(),
            RulesFile::Host(path) => path.base_name(),
        };
        if !seen.insert(base) {
            let at = desired.rules_files.iter().find_map(|entry| match entry {
                RulesEntry::Host { path, at } if path.base_name() == base => Some(at.clone()),
                _ => None,
            });
            findings.push(Finding {
                location: at.unwrap_or(Location { file: "fleet.yaml".to_string(), line: 0, column: 0 }),
                message: format!("two rules files have the base name `{base}`"),
                hint: "Falco's metrics give base names only; rename one of them".to_string(),
            });
        }
    }
    findings
}

fn rules_path(base: &str, at: &Location) -> Result<RelativePath, Findings> {
    RelativePath::parse(&format!("rules/{base}.yaml")).map_err(|malformed| {
        Findings::one(Finding {
            location: at.clone(),
            message: malformed.to_string(),
            hint: malformed.hint.to_string(),
        })
    })
}

/// The base name without `.yaml` or `.yml`.
fn stem(base_name: &str) -> &str {
    base_name.strip_suffix(".yaml").or_else(|| base_name.strip_suffix(".yml")).unwrap_or(base_name)
}
