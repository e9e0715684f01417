//! The desired state: `fleet.yaml`.
//!
//! ```yaml
//! version: 1
//! indexes:                       # absent: the official one; []: none
//!   - {name: falcosecurity, url: https://falcosecurity.github.io/falcoctl/index.yaml}
//! artifacts:
//!   falco-rules: "5"             # looked up in the indexes; a tag, a requirement (^5.1), a digest or both (5@sha256:…)
//!   custom-rules: {ref: ghcr.io/acme/falco/custom-rules, version: ~1.4}
//!   more-rules: ghcr.io/acme/falco/more-rules:2
//! rules_files:                   # the order in which Falco loads them
//!   - artifact: falco-rules
//!   - host: /etc/falco/falco_rules.local.yaml
//!   - file: rules/acme.yaml      # in the repository
//! dependencies: install          # what artifacts need comes too; absent: check, it is left to the hosts
//! falco: "0.44"                  # what the hosts run, for checks without a host
//! config: {priority: warning}    # keys of falco.yaml
//! windows:                       # when hosts may be changed
//!   - {effect: allow, what: [apply], days: mon-fri, from: "22:00", to: "04:00", zone: Europe/Berlin}
//! suspend: {reason: freeze, until: 2027-01-04T06:00:00Z}
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Value as Json, json};

use crate::admit::Facts;
use crate::dependencies::Mode;
use crate::digest::Digest;
use crate::finding::{Findings, Location};
use crate::name::{AbsolutePath, ArtifactName, IndexName, RelativePath};
use crate::reference::Source;
use crate::window::{Suspension, Window};

mod artifacts;
mod decode;
mod rules_files;
mod version;
mod windows;

pub use version::VersionRequest;

/// The name of the document.
pub const FILE_NAME: &str = "fleet.yaml";

/// The size in bytes that `fleet.yaml` may have.
pub const FLEET_CAP: usize = 1 << 20;

/// The index that counts when the document names none, as falcoctl has it: its name and its URL.
pub const DEFAULT_INDEX: (&str, &str) = ("falcosecurity", "https://falcosecurity.github.io/falcoctl/index.yaml");

/// What a host should run.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredState {
    /// Where names of artifacts are looked up. Of two indexes that know a name the later one counts, as with falcoctl.
    pub indexes: Vec<IndexEntry>,
    /// The artifacts, in the order of the document, which means nothing.
    pub artifacts: Vec<ArtifactRequest>,
    /// What becomes of the dependencies of the artifacts that are not among the artifacts themselves.
    pub dependencies: Mode,
    /// The Falco that the hosts run, as far as its release tells; `None` when the document does not say which one.
    pub falco: Option<Facts>,
    /// What Falco loads, in this order; never empty.
    pub rules_files: Vec<RulesEntry>,
    /// Top-level keys of falco.yaml.
    pub config: Vec<Setting>,
    /// When hosts may be changed, beside what they say of that themselves.
    pub windows: Vec<Window>,
    /// That hosts are not to be changed.
    pub suspension: Option<Suspension>,
}

/// An index of artifacts.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexEntry {
    /// Its name, unique in the document.
    pub name: IndexName,
    /// Where it is, without credentials: what [`crate::index::IndexLocation::parse`] takes.
    pub url: String,
    /// The entry in the document; line 0 for the default index.
    pub at: Location,
}

/// An artifact and the version of it that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactRequest {
    /// Its name, unique in the document.
    pub name: ArtifactName,
    /// Where it lives; `None` when its name is to be looked up in the indexes.
    pub source: Option<Source>,
    /// The version that is wanted.
    pub version: VersionRequest,
    /// How Falco is to start it, should it be a plugin.
    pub plugin: PluginSettings,
    /// The name in the document.
    pub at: Location,
}

/// How Falco is to start a plugin. What is not said here stays as the host's own falco.yaml has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PluginSettings {
    /// The plugin's configuration.
    pub init_config: Option<Json>,
    /// What the plugin is to open.
    pub open_params: Option<String>,
}

/// One entry of the list of rules that Falco loads.
#[derive(Debug, Clone, PartialEq)]
pub enum RulesEntry {
    /// The rules of an artifact of this document.
    Artifact {
        /// The artifact's name.
        name: ArtifactName,
        /// The entry in the document.
        at: Location,
    },
    /// A file kept beside the document in the repository.
    File {
        /// Its path, relative to the directory of the document.
        path: RelativePath,
        /// The entry in the document.
        at: Location,
    },
    /// A file or directory that the host's owner keeps.
    Host {
        /// Its path on the host.
        path: AbsolutePath,
        /// The entry in the document.
        at: Location,
    },
}

/// One top-level key of falco.yaml with its whole value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Json,
    /// The key in the document.
    pub at: Location,
}

/// The path of the document in the directory of the desired state.
#[must_use]
pub fn path() -> RelativePath {
    RelativePath::known(FILE_NAME)
}

/// Parses `fleet.yaml`; `file` is the name that findings and locations give.
///
/// # Errors
/// Everything that is wrong with the document, each with its place and a hint.
pub fn parse(file: &str, text: &str) -> Result<DesiredState, Findings> {
    decode::desired_state(file, text)
}

/// The digest of what a lockfile answers: the indexes in their order, the artifacts, whatever theirs, and whether their
/// dependencies come too. Comments, formatting, places, `rules_files`, `falco` and `config` do not count.
#[must_use]
pub fn inputs_digest(state: &DesiredState) -> Digest {
    let indexes: Vec<Json> = state.indexes.iter().map(|index| json!([index.name.as_str(), index.url])).collect();
    let mut artifacts: Vec<&ArtifactRequest> = state.artifacts.iter().collect();
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    let artifacts: Vec<Json> = artifacts
        .into_iter()
        .map(|artifact| {
            let source = artifact.source.as_ref().map(ToString::to_string);
            json!([artifact.name.as_str(), source, artifact.version.to_string()])
        })
        .collect();
    let inputs = match state.dependencies {
        Mode::Check => json!(["falconer inputs 1", indexes, artifacts]),
        Mode::Install => json!(["falconer inputs 1", indexes, artifacts, "install"]),
    };
    Digest::of(inputs.to_string().as_bytes())
}

#[cfg(test)]
mod tests;
