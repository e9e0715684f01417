//! `status.json`, the answer of `once` and `status`: how a host is, for programs.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::admit::Unchecked;
use crate::artifact::ArtifactType;
use crate::diff::Change;
use crate::digest::Digest;
use crate::drift::Drift;
use crate::generation::GenerationNumber;
use crate::host_lock::{HostFile, HostLock};
use crate::lockfile::hex;
use crate::name::{AbsolutePath, ArtifactName, HostName};
use crate::next::{Next, Verdict};
use crate::outcome::{Condition, Evidence, Validation};
use crate::remedy::Remedy;
use crate::report::ReportStatus;
use crate::revision::Revision;

/// How a host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The host.
    pub host: HostName,
    /// The revision whose desired state is live.
    pub revision: Option<Revision>,
    /// The newest revision that the host knows.
    pub wanted: Option<Revision>,
    /// The generation that is live.
    pub generation: Option<GenerationNumber>,
    /// How the host is.
    pub condition: Condition,
    /// Why; empty when it is in sync.
    pub reason: String,
    /// How we know that Falco has loaded the generation.
    pub evidence: Evidence,
    /// How the generation was checked before it became live.
    pub validation: Validation,
    /// The version of the host's Falco, or `absent`.
    pub falco: String,
    /// The artifacts as they are on the host, sorted by name.
    pub artifacts: Vec<StatusArtifact>,
    /// The files of the repository as they are on the host.
    pub files: Vec<StatusFile>,
    /// What this pass changed, or would change.
    pub changes: Vec<Change>,
    /// The drift that this pass found.
    pub drift: Vec<Drift>,
    /// What the wanted artifacts need and nobody could check, e.g. because Falco is not running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<Unchecked>,
    /// What is worth knowing, and no drift.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// What went wrong, when something did.
    pub error: Option<StatusError>,
    /// What comes next.
    pub next: Next,
    /// How the drift report fares: in the answer of `falconer status` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportStatus>,
    /// When a change that waits for a window, or for the end of a suspension, may be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
}

/// An artifact as it is on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusArtifact {
    /// Its name.
    pub name: ArtifactName,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ArtifactType,
    /// The version that it gives itself.
    pub version: String,
    /// The digest by which it is pinned.
    pub digest: Digest,
    /// Its files as they are on the host.
    pub files: Vec<StatusFile>,
}

/// A file as it is on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusFile {
    /// Where it is.
    pub path: AbsolutePath,
    /// The digest of its bytes, as 64 hex digits.
    #[serde(with = "hex")]
    pub sha256: Digest,
}

/// Something on the host that is worth knowing, and no drift.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// What is so.
    pub message: String,
    /// The next act.
    pub hint: String,
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteKind {
    /// Another program writes what Falco loads.
    SecondManager,
    /// Something that falconer no longer needs cannot be removed.
    Leftover,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusError {
    /// What, with its causes.
    pub message: String,
    /// Who can end it.
    pub remedy: Remedy,
    /// The next act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Status {
    /// The status that `report` says, for a state directory at `state`.
    #[must_use]
    pub fn new(
        report: &HostLock,
        state: &AbsolutePath,
        verdict: Verdict,
        changes: Vec<Change>,
        drift: Vec<Drift>,
    ) -> Self {
        let file = |file: &HostFile| StatusFile { path: state.join(&file.live), sha256: file.sha256.clone() };
        let artifacts = report.artifacts.iter().map(|artifact| StatusArtifact {
            name: artifact.name.clone(),
            kind: artifact.kind,
            version: artifact.version.clone(),
            digest: artifact.digest.clone(),
            files: artifact.files.iter().map(file).collect(),
        });
        Self {
            host: report.host.clone(),
            revision: report.applied.clone(),
            wanted: report.wanted.clone(),
            generation: report.generation,
            condition: verdict.condition,
            reason: verdict.reason,
            evidence: report.evidence,
            validation: report.validation,
            falco: report.falco.to_string(),
            artifacts: artifacts.collect(),
            files: report.files.iter().map(file).collect(),
            changes,
            drift,
            unchecked: Vec::new(),
            notes: Vec::new(),
            error: None,
            next: verdict.next,
            report: None,
            opens: None,
        }
    }

    /// This status without what only the pass itself did, as it is kept in `status.json`: the same bytes for a host that
    /// stays the same.
    #[must_use]
    pub fn kept(&self, drift: &[Drift]) -> Self {
        Self { changes: Vec::new(), drift: drift.to_vec(), ..self.clone() }
    }
}
