//! Tells how the host is: `host.lock` and `status.json` in the state directory, the drift report elsewhere, and hooks.

mod courier;
mod reporter;
mod sink;

use falconer_manifests::drift::Drift;
use falconer_manifests::host_lock::HostLock;
use falconer_manifests::next::{Next, Verdict};
use falconer_manifests::observed::Observed;
use falconer_manifests::outcome::Condition;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::report::Reporting;
use falconer_manifests::status::Status;

use super::observe::REPORT_CAP;
use super::{Agent, PassError};
use crate::git::Remote;
use crate::hooks::{Event, Hooks};
use crate::settings::{self, Settings};
use crate::store::{Document, Locked, StateDirectory};

pub use sink::SinkError;

use courier::Courier;
use reporter::Reporter;

/// The longest memory of reports, in bytes.
const REPORTING_CAP: u64 = 1 << 20;

/// Whoever is told how the host is.
pub(super) struct Telling {
    reporter: Reporter,
    hooks: Hooks,
}

impl Telling {
    /// Opens what the settings name. Nothing is asked yet.
    pub(super) fn new(
        settings: &Settings,
        client: reqwest::Client,
        remote: impl Fn(&settings::Remote) -> Result<Remote, PassError>,
    ) -> Result<Self, PassError> {
        let courier = settings.report.as_ref().map(|report| Courier::new(settings, report, client.clone(), remote));
        Ok(Self { reporter: Reporter::new(courier.transpose()?), hooks: Hooks::new(&settings.hooks, client) })
    }
}

impl Agent {
    /// From now on the drift report and the hooks run beside passes, and no pass waits for them. For a process that lives
    /// long, where tokio runs.
    pub fn tell_in_background(&mut self) {
        self.telling.reporter.start();
        self.telling.hooks.start();
    }
}

/// The drift report on `observed`, numbered: the last one when nothing in it has changed, else the one after; and the
/// condition in the last one.
///
/// # Errors
/// When the last report cannot be read.
pub(super) fn host_lock(
    agent: &Agent,
    state: &StateDirectory,
    observed: &Observed,
    drift: &[Drift],
    verdict: &Verdict,
) -> Result<(HostLock, Option<Condition>), PassError> {
    let report = HostLock::new(&agent.settings.identity, observed.ledger.revision.as_ref(), observed, drift, verdict);
    let last = state.read_document(Document::HostLock, REPORT_CAP)?;
    let last = last.and_then(|bytes| HostLock::parse(&String::from_utf8_lossy(&bytes)).ok());
    let before = last.as_ref().map(|last| last.condition);
    Ok((if last.as_ref() == Some(&report) { report } else { report.following() }, before))
}

/// Writes the drift report and the status where they differ from what is there.
///
/// # Errors
/// When the disk does not take them.
pub(super) fn write(state: &Locked, report: &HostLock, status: &Status) -> Result<(), PassError> {
    let text =
        report.render().map_err(|error| PassError::Render { document: "host.lock", reason: error.to_string() })?;
    state.replace_document(Document::HostLock, text.as_bytes())?;
    let mut json = serde_json::to_string_pretty(status)
        .map_err(|error| PassError::Render { document: "status.json", reason: error.to_string() })?;
    json.push('\n');
    state.replace_document(Document::Status, json.as_bytes())?;
    Ok(())
}

/// What is remembered of reports; `None` where nothing was ever reported, or where it cannot be understood: then the row of
/// reports begins anew, which whoever reads them sees.
///
/// # Errors
/// When it cannot be read.
pub(super) fn reporting(state: &StateDirectory) -> Result<Option<Reporting>, PassError> {
    let bytes = state.read_document(Document::Reporting, REPORTING_CAP)?;
    Ok(bytes.and_then(|bytes| Reporting::parse(&String::from_utf8_lossy(&bytes)).ok()))
}

/// The verdict where somebody else reports under this host's name: whoever looks at the fleet does not see this host.
///
/// # Errors
/// When what is remembered of reports cannot be read.
pub(super) fn with_rival(state: &StateDirectory, verdict: Verdict) -> Result<Verdict, PassError> {
    let rival = reporting(state)?.and_then(|reporting| reporting.rival);
    let is_well = matches!(verdict.condition, Condition::InSync | Condition::Pending | Condition::Drifted);
    let Some(rival) = rival.filter(|_| is_well) else { return Ok(verdict) };
    Ok(Verdict {
        condition: Condition::Failed,
        reason: format!("another host reports under this host's name (instance {})", rival.instance),
        next: Next { who: Remedy::Operator.as_str().to_owned(), hint: courier::RIVAL_HINT.to_owned() },
    })
}

/// Tells everybody what a pass has found: the drift report where it is new or due, hooks where the condition is another
/// one than `before`. Nothing that goes wrong here is an error of the pass.
pub(super) async fn tell(agent: &mut Agent, report: &HostLock, status: &Status, before: Option<Condition>, now: u64) {
    let telling = &mut agent.telling;
    if before != Some(status.condition) {
        let event = Event::new(status, &agent.settings.identity.labels, before, now);
        telling.hooks.tell(&event).await;
    }
    telling.reporter.tell(report).await;
}
