//! What is known of one host.

use std::path::Path;

use falconer_manifests::host_lock::HostLock;
use falconer_manifests::name::HostName;
use falconer_manifests::outcome::Condition;
use serde::Serialize;

use super::found::Found;
use crate::git::{self, Trust};

/// What is known of one host.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) host: String,
    /// `None` where the report cannot be read.
    pub(super) condition: Option<Condition>,
    pub(super) revision: Option<String>,
    pub(super) wanted: Option<String>,
    pub(super) drift: Option<usize>,
    /// Seconds since the report was sent.
    pub(super) age: Option<u64>,
    /// Whether two heartbeats were missed.
    pub(super) overdue: bool,
    pub(super) evidence: Option<&'static str>,
    pub(super) falco: Option<String>,
    pub(super) sequence: Option<u64>,
    pub(super) number: Option<u64>,
    /// `good`, `bad` or `none` where signatures are checked.
    pub(super) signature: Option<&'static str>,
    /// What is wrong with the report itself.
    pub(super) problems: Vec<String>,
    pub(super) reason: String,
    /// Where the report was found.
    pub(super) repository: String,
    pub(super) commit: Option<String>,
    /// Whether there is a report.
    pub(super) reported: bool,
}

impl Row {
    /// A host that should have reported.
    pub(super) fn missing(host: &HostName) -> Self {
        Self {
            host: host.to_string(),
            condition: None,
            revision: None,
            wanted: None,
            drift: None,
            age: None,
            overdue: false,
            evidence: None,
            falco: None,
            sequence: None,
            number: None,
            signature: None,
            problems: vec!["has not reported".to_owned()],
            reason: String::new(),
            repository: String::new(),
            commit: None,
            reported: false,
        }
    }

    pub(super) fn has_drifted(&self) -> bool {
        self.condition == Some(Condition::Drifted) || self.drift.unwrap_or_default() > 0
    }

    pub(super) fn is_well(&self) -> bool {
        self.condition == Some(Condition::InSync) && !self.has_drifted() && !self.overdue && self.problems.is_empty()
    }
}

/// Reads a report, and checks its signature by the file `allowed_signers`.
///
/// # Errors
/// When ssh-keygen cannot be run, or the disk does not take a moment's file.
pub(super) async fn row(
    found: Found,
    allowed_signers: Option<&Path>,
    scratch: &Path,
    now: u64,
) -> std::io::Result<Row> {
    let mut problems = Vec::new();
    let report = match found.text.as_deref().map(HostLock::parse) {
        Some(Ok(report)) => Some(report),
        Some(Err(error)) => {
            problems.push(format!("cannot be read: {}", error.message()));
            None
        }
        None => {
            problems.push("has no host.lock".to_owned());
            None
        }
    };
    if let Some(report) = report.as_ref().filter(|report| found.host.as_ref() != Some(&report.host)) {
        problems.push(format!("is about {}, and lies where another host reports", report.host));
    }
    let chain = report.as_ref().and_then(|report| report.chain.as_ref());
    if let Some(displaced) = chain.and_then(|chain| chain.displaced.as_ref()) {
        problems.push(format!("took the place of one by instance {displaced}: two hosts may have one name"));
    }
    let sent = found.sent.or(chain.map(|chain| chain.sent));
    if sent.is_none() && report.is_some() {
        problems.push("does not tell when it was sent".to_owned());
    }
    let signature = match (allowed_signers, &found.host) {
        (None, _) => None,
        (Some(_), None) => Some(Trust::Bad("its place names no host".to_owned())),
        (Some(file), Some(host)) => Some(git::verify(file, host, found.signed.as_ref(), scratch).await?),
    };
    match &signature {
        Some(Trust::Unsigned) => problems.push("is not signed".to_owned()),
        Some(Trust::Bad(why)) => problems.push(format!("has a bad signature: {why}")),
        Some(Trust::Good) | None => {}
    }
    let report = report.as_ref();
    Ok(Row {
        condition: report.map(|report| report.condition),
        revision: report.and_then(|report| report.applied.as_ref()).map(ToString::to_string),
        wanted: report.and_then(|report| report.wanted.as_ref()).map(ToString::to_string),
        drift: report.map(|report| report.drift.len()),
        age: sent.map(|sent| now.saturating_sub(sent)),
        overdue: report.and_then(|report| report.is_overdue(now)).unwrap_or_default(),
        evidence: report.map(|report| report.evidence.as_str()),
        falco: report.map(|report| report.falco.clone()),
        sequence: report.map(|report| report.sequence),
        number: chain.map(|chain| chain.number),
        signature: signature.map(|trust| match trust {
            Trust::Good => "good",
            Trust::Unsigned => "none",
            Trust::Bad(_) => "bad",
        }),
        reason: report.map(|report| report.reason.clone()).unwrap_or_default(),
        host: found.named,
        problems,
        repository: found.place,
        commit: found.commit,
        reported: true,
    })
}
