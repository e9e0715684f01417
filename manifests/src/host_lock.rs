//! `host.lock`, the drift report: the lockfile of what is really on a host.
//!
//! TOML, sorted, without timestamps: the same host in the same state has the same report.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactType;
use crate::composition::{Origin, PlacedFile, PlacedPlugin};
use crate::digest::Digest;
use crate::drift::Drift;
use crate::generation::GenerationNumber;
use crate::lockfile::{LockedArtifact, LockedFile, hex};
use crate::name::{ArtifactName, HostName, RelativePath};
use crate::next::Verdict;
use crate::observed::{Entry, Observed};
use crate::outcome::{Condition, Evidence, Validation};
use crate::reference::{Source, Tag};
use crate::report::Chain;
use crate::revision::Revision;

pub mod signed;

/// The name of the drift report in the state directory and in Git.
pub const FILE_NAME: &str = "host.lock";

/// What the Git references that hold drift reports begin with.
pub const REFERENCES: &str = "refs/falconer/hosts/";

/// The version of the document.
pub const VERSION: u32 = 1;

/// The drift report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostLock {
    /// The version of the document.
    pub version: u32,
    /// The host.
    pub host: HostName,
    /// Grows by one with every report that differs from the one before.
    pub sequence: u64,
    /// The newest revision that the host knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Revision>,
    /// The revision whose desired state is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Revision>,
    /// The generation that is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<GenerationNumber>,
    /// How the host is.
    pub condition: Condition,
    /// Why; empty when it is in sync.
    pub reason: String,
    /// How we know that Falco has loaded it.
    pub evidence: Evidence,
    /// How it was checked before.
    pub validation: Validation,
    /// The version of the host's Falco, or `absent`.
    pub falco: String,
    /// Words that say what kind of host it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The artifacts as they are on the host, sorted by name.
    #[serde(default, rename = "artifact", skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<HostArtifact>,
    /// The files of the repository as they are on the host.
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<HostFile>,
    /// Drift that is there now.
    #[serde(default, rename = "drift", skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
    /// Drift that the live generation was made to correct.
    #[serde(default, rename = "corrected", skip_serializing_if = "Vec::is_empty")]
    pub corrected: Vec<Drift>,
    /// Its place in the row of reports that were sent; absent in the report that stays on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
}

/// Who a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The host.
    pub host: HostName,
    /// Words that say what kind of host it is.
    pub labels: BTreeMap<String, String>,
}

/// An artifact as it is on the host; the keys are those of `falconer.lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostArtifact {
    /// Its name.
    pub name: ArtifactName,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ArtifactType,
    /// Where it came from.
    pub source: Source,
    /// The version that was asked for.
    pub requested: String,
    /// The tag that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The version that it gives itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The digest that the tag named.
    pub digest: Digest,
    /// Its files as they are; a file that is not there or is no file is left out.
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<HostFile>,
}

/// A file as it is on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFile {
    /// Its path in the artifact's archive or in the repository.
    pub path: RelativePath,
    /// Where it is live, relative to the state directory.
    pub live: RelativePath,
    /// The digest of its bytes, as 64 hex digits.
    #[serde(with = "hex")]
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl HostLock {
    /// The report on `observed`, with the sequence number of the last report.
    #[must_use]
    pub fn new(
        identity: &Identity,
        wanted: Option<&Revision>,
        observed: &Observed,
        drift: &[Drift],
        verdict: &Verdict,
    ) -> Self {
        let record = observed.live_record();
        let composition = record.map(|record| &record.composition);
        let placed: Vec<_> = composition.map(|composition| composition.files().collect()).unwrap_or_default();
        let files = |wanted: &dyn Fn(&Origin) -> Option<RelativePath>| -> Vec<HostFile> {
            placed.iter().filter_map(|placed| host_file(observed, placed, wanted(&placed.origin)?)).collect()
        };
        let artifact = |locked: &LockedArtifact| HostArtifact {
            name: locked.name.clone(),
            kind: locked.kind,
            source: locked.source.clone(),
            requested: locked.requested.clone(),
            tag: locked.tag.clone(),
            version: locked.version.clone(),
            digest: locked.digest.clone(),
            files: match composition.and_then(|composition| composition.plugin(&locked.name)) {
                Some(plugin) => plugin_files(observed, plugin),
                None => files(&|origin| match origin {
                    Origin::Artifact { name, entry, .. } if *name == locked.name => Some(entry.clone()),
                    _ => None,
                }),
            },
        };
        let locked = composition.map(|composition| composition.lockfile.artifacts.iter().map(artifact).collect());
        Self {
            version: VERSION,
            host: identity.host.clone(),
            labels: identity.labels.clone(),
            sequence: observed.ledger.sequence,
            wanted: wanted.cloned(),
            applied: observed.ledger.applied.clone(),
            generation: record.map(|record| record.generation),
            condition: verdict.condition,
            reason: verdict.reason.clone(),
            evidence: observed.ledger.evidence,
            validation: observed.ledger.validation,
            falco: observed.falco.version.clone().unwrap_or_else(|| "absent".to_string()),
            artifacts: locked.unwrap_or_default(),
            files: files(&|origin| match origin {
                Origin::Repository { path } => Some(path.clone()),
                Origin::Artifact { .. } => None,
            }),
            drift: drift.to_vec(),
            corrected: record.map(|record| record.corrects.clone()).unwrap_or_default(),
            chain: None,
        }
    }

    /// This report with the next sequence number.
    #[must_use]
    pub fn following(mut self) -> Self {
        self.sequence += 1;
        self
    }

    /// Parses the text of a drift report.
    ///
    /// # Errors
    /// What is wrong with the text. Ask [`crate::schema::newer_toml`] first whether it is only newer than this program.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The text: the same bytes for the same report.
    ///
    /// # Errors
    /// When a value cannot be written as TOML, which no value made by this crate does.
    pub fn render(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

fn plugin_files(observed: &Observed, plugin: &PlacedPlugin) -> Vec<HostFile> {
    let entries = observed.plugins.get(&plugin.directory).and_then(|plugin| plugin.entries.as_ref());
    let file = |file: &LockedFile| match entries?.get(&file.path)? {
        Entry::File { sha256: Some(sha256), size, .. } => Some(HostFile {
            path: file.path.clone(),
            live: plugin.directory.join(&file.path),
            sha256: sha256.clone(),
            size: *size,
        }),
        _ => None,
    };
    plugin.files.iter().filter_map(file).collect()
}

fn host_file(observed: &Observed, placed: &PlacedFile, path: RelativePath) -> Option<HostFile> {
    let (number, generation) = observed.live()?;
    match generation.entries.as_ref()?.get(&placed.path)? {
        Entry::File { sha256: Some(sha256), size, .. } => Some(HostFile {
            path,
            live: RelativePath::known(alloc::format!("{}/{}", number.directory(), placed.path)),
            sha256: sha256.clone(),
            size: *size,
        }),
        _ => None,
    }
}

/// The path of the drift report in the commit that holds it.
#[must_use]
pub fn path() -> RelativePath {
    RelativePath::known(FILE_NAME)
}

/// The path of the drift report of `host` on a branch that hosts share.
#[must_use]
pub fn branch_path(host: &HostName) -> RelativePath {
    RelativePath::known(alloc::format!("hosts/{host}.lock"))
}

/// The directory of the drift reports on a branch that hosts share.
#[must_use]
pub fn branch_directory() -> RelativePath {
    RelativePath::known("hosts".to_string())
}

/// The host whose report a file is by its name: `web-1`, `web-1.lock` or `web-1.toml`.
#[must_use]
pub fn host_of_file(name: &str) -> Option<HostName> {
    let stem = [".lock", ".toml"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    HostName::parse(stem).ok()
}

/// The Git reference that holds the drift report of `host`: `refs/falconer/hosts/<hh>/<host>`, where `hh` are the first
/// two hex digits of the sha256 of the host's name, so that no directory of references grows too large.
#[must_use]
pub fn reference(host: &HostName) -> String {
    let digest = Digest::of(host.as_str().as_bytes());
    let shard = digest.hex().get(..2).unwrap_or_default();
    alloc::format!("{REFERENCES}{shard}/{host}")
}
