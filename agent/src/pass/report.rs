//! Tells how the host is: `host.lock` and `status.json` in the state directory, and the drift report in Git.

use falconer_manifests::digest::Digest;
use falconer_manifests::drift::Drift;
use falconer_manifests::host_lock::{self, HostLock};
use falconer_manifests::ledger::Ledger;
use falconer_manifests::next::Verdict;
use falconer_manifests::observed::Observed;
use falconer_manifests::status::Status;

use super::{Agent, PassError};
use crate::error::chain;
use crate::git::{Expected, Report};
use crate::store::{Document, Locked, StateDirectory};

/// The longest drift report, in bytes.
const REPORT_CAP: u64 = 4 << 20;

/// The drift report on `observed`, numbered: the last one when nothing in it has changed, else the one after.
///
/// # Errors
/// When the last report cannot be read.
pub(super) fn host_lock(
    agent: &Agent,
    state: &StateDirectory,
    observed: &Observed,
    drift: &[Drift],
    verdict: &Verdict,
) -> Result<HostLock, PassError> {
    let report = HostLock::new(&agent.settings.identity, observed.ledger.revision.as_ref(), observed, drift, verdict);
    let last = state.read_document(Document::HostLock, REPORT_CAP)?;
    let last = last.and_then(|bytes| HostLock::parse(&String::from_utf8_lossy(&bytes)).ok());
    Ok(if last.as_ref() == Some(&report) { report } else { report.following() })
}

/// Writes the drift report and the status where they differ from what is there.
///
/// # Errors
/// When the disk does not take them.
pub(super) fn write(state: &Locked, report: &HostLock, status: &Status) -> Result<(), PassError> {
    state.replace_document(Document::HostLock, text(report)?.as_bytes())?;
    let mut json = serde_json::to_string_pretty(status)
        .map_err(|error| PassError::Render { document: "status.json", reason: error.to_string() })?;
    json.push('\n');
    state.replace_document(Document::Status, json.as_bytes())?;
    Ok(())
}

/// Pushes the drift report, unless this one is there already. A report that cannot be pushed stops nobody: it is tried
/// again at the next pass.
///
/// # Errors
/// When the report cannot be written as text.
pub(super) async fn push(agent: &mut Agent, ledger: &mut Ledger, report: &HostLock, now: u64) -> Result<(), PassError> {
    let Some(remote) = &mut agent.report else { return Ok(()) };
    let text = text(report)?;
    let digest = Digest::of(text.as_bytes());
    if ledger.reported.as_ref() == Some(&digest) {
        return Ok(());
    }
    let reference = host_lock::reference(&report.host);
    let pushed = remote
        .push_report(&Report {
            reference: &reference,
            files: &[(host_lock::path(), text.into_bytes())],
            message: &format!("{}: {} ({})\n", report.host, report.condition.as_str(), report.sequence),
            author: report.host.as_str(),
            email: &format!("falconer@{}", report.host),
            time: now.cast_signed(),
            expected: Expected::Anything,
            signing_key: None,
        })
        .await;
    match pushed {
        Ok(pushed) => {
            tracing::info!(%reference, commit = %pushed.commit, "reported");
            ledger.reported = Some(digest);
        }
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            tracing::warn!(%reference, hint, "the drift report was not pushed: {}", chain(&error));
        }
    }
    Ok(())
}

fn text(report: &HostLock) -> Result<String, PassError> {
    report.render().map_err(|error| PassError::Render { document: "host.lock", reason: error.to_string() })
}
