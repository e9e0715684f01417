//! What hooks are told.

use std::collections::BTreeMap;

use falconer_manifests::outcome::{Condition, Evidence};
use falconer_manifests::remedy::Remedy;
use falconer_manifests::status::Status;
use serde::Serialize;

/// A condition that has changed. docs/hooks.md describes the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The version of this form.
    pub version: u32,
    /// `condition`.
    pub event: &'static str,
    /// When, in seconds since 1970.
    pub time: u64,
    /// The host.
    pub host: String,
    /// Words about it.
    pub labels: BTreeMap<String, String>,
    /// How the host is.
    pub condition: Condition,
    /// How it was before; `None` at its first pass.
    pub previous: Option<Condition>,
    /// Why; empty when it is in sync.
    pub reason: String,
    /// The newest revision that the host knows.
    pub wanted: Option<String>,
    /// The revision that is live.
    pub revision: Option<String>,
    /// The generation that is live.
    pub generation: Option<u64>,
    /// How we know that Falco has loaded it.
    pub evidence: Evidence,
    /// The version of Falco, or `absent`.
    pub falco: String,
    /// How many differences there are.
    pub drift: usize,
    /// What went wrong.
    pub error: Option<EventError>,
    /// Who acts next.
    pub next: falconer_manifests::next::Next,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventError {
    /// What, with its causes.
    pub message: String,
    /// Who can end it.
    pub remedy: Remedy,
    /// The next act.
    pub hint: Option<String>,
}

impl Event {
    /// The event that `status` is for a host that was as `previous` says.
    #[must_use]
    pub fn new(status: &Status, labels: &BTreeMap<String, String>, previous: Option<Condition>, time: u64) -> Self {
        let error = status.error.as_ref().map(|error| EventError {
            message: error.message.clone(),
            remedy: error.remedy,
            hint: error.hint.clone(),
        });
        Self {
            version: 1,
            event: "condition",
            time,
            host: status.host.to_string(),
            labels: labels.clone(),
            condition: status.condition,
            previous,
            reason: status.reason.clone(),
            wanted: status.wanted.as_ref().map(ToString::to_string),
            revision: status.revision.as_ref().map(ToString::to_string),
            generation: status.generation.map(|generation| generation.0),
            evidence: status.evidence,
            falco: status.falco.clone(),
            drift: status.drift.len(),
            error,
            next: status.next.clone(),
        }
    }

    /// Its JSON.
    pub(super) fn json(&self) -> String {
        // Text, numbers and maps with text for keys can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}
