//! From the desired state to what a generation is made of.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::{Composition, Origin, PlacedFile, RepositoryFile, RulesFile, plugins};
use crate::artifact::ArtifactType;
use crate::falco_config;
use crate::finding::{Finding, Findings, Location};
use crate::fleet::{DesiredState, RulesEntry};
use crate::lockfile::{LockedArtifact, LockedContent, LockedFile, Lockfile};
use crate::name::{AbsolutePath, RelativePath};
use crate::revision::Revision;

pub(super) const LOCK_AGAIN: &str = "run `falconer lock` and commit what it writes";

/// The host for which a composition is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The state directory.
    pub state: &'a AbsolutePath,
    /// `os/architecture` in Go's words, e.g. `linux/amd64`.
    pub platform: &'a str,
    /// The settings that the host's Falco would have without us.
    pub host: &'a Map<String, Value>,
}

/// Puts together what `desired`, pinned by `lockfile`, means on the host that `place` describes.
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
    place: &Place<'_>,
) -> Result<Composition, Findings> {
    let mut findings = Vec::new();
    let mut rules_files = Vec::new();
    for (index, entry) in desired.rules_files.iter().enumerate() {
        let number = (index + 1) * 10;
        match entry {
            RulesEntry::Host { path, .. } => rules_files.push(RulesFile::Host(path.clone())),
            RulesEntry::Artifact { name, at } => match lockfile.artifact(name) {
                Some(artifact) => place_artifact(number, artifact, at, &mut rules_files, &mut findings),
                None => findings.push(finding(at, format!("artifact `{name}` is not in the lockfile"), LOCK_AGAIN)),
            },
            RulesEntry::File { path, at } => match files.get(path) {
                Some(file) => rules_files.push(RulesFile::Placed(PlacedFile {
                    path: rules_path(&format!("{number:02}-{}", stem(path.base_name())), at)?,
                    sha256: file.sha256.clone(),
                    size: file.size,
                    origin: Origin::Repository { path: path.clone() },
                })),
                None => {
                    let hint = "commit the file, or correct the path; it is relative to fleet.yaml";
                    findings.push(finding(at, format!("`{path}` is not in the repository"), hint));
                }
            },
        }
    }
    findings.extend(unused_rules(desired, lockfile));
    findings.extend(base_name_twice(desired, &rules_files));
    let plugins = plugins::placed(desired, lockfile, place, &mut findings);
    let assets = assets(desired, lockfile, place, &mut findings);
    let desired_settings = desired.config.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect();
    let mut settings = falco_config::merge_settings(place.host, &desired_settings);
    settings.extend(plugins::settings(desired, lockfile, &plugins, place));
    let composition =
        Composition { revision: revision.clone(), lockfile: lockfile.clone(), rules_files, plugins, assets, settings };
    Findings::none_or(findings, composition)
}

/// Whether the artifacts of `lockfile` are what the entries of `desired` take them for, which is the same on every host.
///
/// # Errors
/// Findings at their place in the desired state, as [`compose`] has them.
pub fn check(desired: &DesiredState, lockfile: &Lockfile) -> Result<(), Findings> {
    let mut findings = unused_rules(desired, lockfile);
    for entry in &desired.rules_files {
        if let RulesEntry::Artifact { name, at } = entry
            && let Some(artifact) = lockfile.artifact(name)
        {
            place_artifact(0, artifact, at, &mut Vec::new(), &mut findings);
        }
    }
    findings.extend(plugins::settings_of_others(desired, lockfile));
    Findings::none_or(findings, ())
}

/// The content of an artifact that is for this host: the one for its platform, or the one for all.
pub(super) fn content_for<'l>(artifact: &'l LockedArtifact, platform: &str) -> Option<&'l LockedContent> {
    let fits = |content: &&LockedContent| content.platform.as_deref().is_none_or(|other| other == platform);
    artifact.contents.iter().find(fits)
}

pub(super) fn finding(at: &Location, message: String, hint: &str) -> Finding {
    Finding { location: at.clone(), message, hint: hint.to_string() }
}

/// The files of all assets, each below `assets/<name>`.
fn assets(
    desired: &DesiredState,
    lockfile: &Lockfile,
    place: &Place<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<PlacedFile> {
    let mut placed = Vec::new();
    for artifact in lockfile.artifacts.iter().filter(|artifact| artifact.kind == ArtifactType::Asset) {
        let Some(content) = content_for(artifact, place.platform) else {
            findings.push(plugins::not_for(
                &lockfile.asked_at(desired, &artifact.name),
                &artifact.name,
                place.platform,
            ));
            continue;
        };
        placed.extend(content.files.iter().map(|file| PlacedFile {
            path: RelativePath::known(format!("assets/{}/{}", artifact.name, file.path)),
            sha256: file.sha256.clone(),
            size: file.size,
            origin: Origin::Artifact {
                name: artifact.name.clone(),
                entry: file.path.clone(),
                layer: content.layer.clone(),
            },
        }));
    }
    placed
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

/// Rules that nobody loads protect nobody, so an artifact of rules that no entry names is a mistake.
fn unused_rules(desired: &DesiredState, lockfile: &Lockfile) -> Vec<Finding> {
    let loaded: BTreeSet<_> = (desired.rules_files.iter())
        .filter_map(|entry| match entry {
            RulesEntry::Artifact { name, .. } => Some(name),
            _ => None,
        })
        .collect();
    let is_rules = |name| lockfile.artifact(name).is_none_or(|artifact| artifact.kind == ArtifactType::Rulesfile);
    let unused = desired.artifacts.iter().filter(|request| !loaded.contains(&request.name) && is_rules(&request.name));
    let unused = unused.map(|request| {
        let hint = format!("add `- artifact: {}` where Falco is to load it", request.name);
        finding(&request.at, format!("artifact `{}` is in no entry of rules_files", request.name), &hint)
    });
    unused.collect()
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
