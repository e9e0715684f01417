//! What holds a change back: windows of the host and of the desired state, and suspensions of either.

use falconer_manifests::finding::{Finding, Findings, Location};
use falconer_manifests::fleet::DesiredState;
use falconer_manifests::plan::{Step, Target, plan};
use falconer_manifests::window::{self, Act, Closed, Suspension, Waiting};
use jiff::Timestamp;

use super::apply::fetch_all;
use super::observe::Host;
use super::request::{Request, Windows};
use super::{Agent, Intent, PassError, status_error};
use crate::store::{Document, Locked, StateDirectory};
use crate::zones;

/// The longest document of a suspension, in bytes.
const SUSPENSION_CAP: u64 = 64 << 10;

/// What is asked of this pass, and what is held back in it.
#[derive(Debug)]
pub(super) struct Gates {
    /// What it is asked for.
    pub(super) request: Request,
    /// When it is made, in seconds since 1970.
    pub(super) now: u64,
    suspended: Option<Waiting>,
    download: Option<Closed>,
    apply: Option<Closed>,
}

/// What was said on this host, while it holds.
///
/// # Errors
/// When the document is damaged: nothing is changed then.
pub fn suspension(state: &StateDirectory, now: u64) -> Result<Option<Suspension>, PassError> {
    let Some(bytes) = state.read_document(Document::Suspension, SUSPENSION_CAP)? else { return Ok(None) };
    // A file cannot be removed through a lock without losing what it said before a crash; an empty one says nothing.
    if bytes.is_empty() {
        return Ok(None);
    }
    let suspension = Suspension::parse(Document::Suspension.name(), &bytes)?;
    Ok(Some(suspension).filter(|suspension| suspension.holds(moment(now))))
}

/// Keeps `suspension`, or ends what was said before.
///
/// # Errors
/// When another falconer is at work for too long, or the disk does not take it.
pub fn suspend(state: &Locked, suspension: Option<&Suspension>) -> Result<(), PassError> {
    let render = |error: serde_json::Error| PassError::Render { document: "the suspension", reason: error.to_string() };
    let text = suspension.map(serde_json::to_string_pretty).transpose().map_err(render)?;
    let text = text.map(|text| text + "\n").unwrap_or_default();
    state.replace_document(Document::Suspension, text.as_bytes())?;
    Ok(())
}

/// The time that `now` is, in seconds since 1970.
fn moment(now: u64) -> Timestamp {
    i64::try_from(now).ok().and_then(|now| Timestamp::from_second(now).ok()).unwrap_or(Timestamp::MAX)
}

impl Gates {
    /// Under a suspension of the host, where the desired state is not known.
    pub(super) fn of_host(suspension: Option<&Suspension>, request: Request, now: u64) -> Self {
        let hint = "run `falconer resume` to end it";
        let suspended = suspension.map(|found| found.waiting("somebody on this host", hint));
        Self { request, now, suspended, download: None, apply: None }
    }

    /// Adds what `desired` and the host's settings hold back.
    pub(super) fn add(&mut self, agent: &Agent, desired: &DesiredState) -> Result<(), PassError> {
        let now = moment(self.now);
        if self.suspended.is_none() {
            let hint = "take `suspend` out of fleet.yaml to end it";
            let found = desired.suspension.as_ref().filter(|suspension| suspension.holds(now));
            self.suspended = found.map(|found| found.waiting("the desired state", hint));
        }
        if self.request.windows == Windows::Kept {
            let windows: Vec<_> = agent.settings.windows.iter().chain(&desired.windows).cloned().collect();
            let closed = |act| window::closed(&windows, act, now, &zones::find).map_err(|error| unknown(&error));
            self.download = closed(Act::Download)?;
            self.apply = closed(Act::Apply)?;
        }
        Ok(())
    }

    /// Why nothing may be asked of a registry; `None` when it may.
    pub(super) fn keeps_from_asking(&self) -> Option<Waiting> {
        self.suspended.clone().or_else(|| self.download.clone().map(Waiting::from))
    }

    /// Why `intent` cannot be reached now; `None` when it can.
    pub(super) fn waiting(&self, agent: &Agent, host: &Host, intent: &Intent) -> Result<Option<Waiting>, PassError> {
        if let Some(suspended) = &self.suspended {
            return Ok(Some(suspended.clone()));
        }
        let (Some(wanted), Target::Desired) = (&intent.wanted, intent.target) else { return Ok(None) };
        // What is live is put right in any window.
        let placed = host.observed.placed_record();
        if placed.is_some_and(|record| record.composition.is_same_as(wanted)) {
            return Ok(None);
        }
        let closed = match (&self.apply, &self.download) {
            (Some(apply), _) => apply,
            (None, Some(download)) if self.fetches(agent, host, intent)? => download,
            _ => return Ok(None),
        };
        Ok(Some(closed.clone().into()))
    }

    fn fetches(&self, agent: &Agent, host: &Host, intent: &Intent) -> Result<bool, PassError> {
        let Some(wanted) = &intent.wanted else { return Ok(false) };
        let plan = plan(wanted, intent.target, &host.observed, &agent.settings.drift)?;
        Ok(plan.steps.iter().any(|step| matches!(step, Step::Fetch(_))))
    }

    /// The same intent where nothing holds it back; else the last good generation is kept up, or nothing is touched. What
    /// only waits to be applied is fetched already, where that may be done.
    pub(super) async fn hold_back(
        &self,
        agent: &Agent,
        state: &Locked,
        host: &Host,
        intent: Intent,
    ) -> Result<Intent, PassError> {
        let Some(waiting) = self.waiting(agent, host, &intent)? else { return Ok(intent) };
        tracing::info!(reason = waiting.reason, "the change waits");
        let mut failure = intent.failure;
        if waiting.heals
            && self.download.is_none()
            && let Some(wanted) = &intent.wanted
        {
            let plan = plan(wanted, intent.target, &host.observed, &agent.settings.drift)?;
            if let Err(error) = fetch_all(agent, state, &plan).await {
                failure = failure.or_else(|| Some(status_error(&error)));
            }
        }
        Ok(Intent::kept_up(&waiting, host, failure))
    }
}

fn unknown(error: &window::UnknownZone) -> PassError {
    PassError::Desired(Findings::one(Finding {
        location: Location { file: "windows".to_string(), line: 0, column: 0 },
        message: error.to_string(),
        hint: "name a zone of the IANA database, or install the zone files (tzdata) on the host".to_string(),
    }))
}
