//! The commands of a host.

use falconer_manifests::remedy::Remedy;
use serde_json::json;
use similar::TextDiff;

use super::Failure;
use super::arguments::Arguments;
use super::print::Printer;
use super::progress;
use crate::adoption;
use crate::daemon::DaemonError;
use crate::daemon::{self, now};
use crate::pass::{self, Agent, PassError, Refresh, Request, Windows};
use crate::settings::{self, Settings};
use crate::store::StoreError;

/// Drift or changes are pending.
pub(super) const PENDING: u8 = 2;

pub(super) async fn once(arguments: &Arguments, printer: Printer, refresh: bool, at_once: bool) -> Result<u8, Failure> {
    let mut agent = agent(arguments)?;
    progress::show(&mut agent.sources, printer);
    let windows = if at_once { Windows::Overridden } else { Windows::Kept };
    let request = Request { windows, ..when(refresh).into() };
    let status = pass::pass(&mut agent, request, now()).await?;
    if let Some(error) = &status.error {
        tracing::error!(hint = error.hint.as_deref(), "{}", error.message);
    }
    printer.status(&status);
    Ok(status.condition.exit_code())
}

pub(super) async fn plan(arguments: &Arguments, printer: Printer, refresh: bool) -> Result<u8, Failure> {
    let mut agent = agent(arguments)?;
    progress::show(&mut agent.sources, printer);
    let preview = pass::preview(&mut agent, when(refresh), now()).await?;
    printer.preview(&preview);
    let pending = preview.plan.as_ref().is_some_and(|plan| !plan.steps.is_empty() || !plan.drift.is_empty());
    let pending = pending || preview.waiting.is_some();
    Ok(match (&preview.failure, &preview.held, pending) {
        (Some(_), ..) | (None, Some(_), _) => super::FAILURE,
        (None, None, true) => PENDING,
        (None, None, false) => 0,
    })
}

pub(super) async fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let agent = agent(arguments)?;
    daemon::run(agent, &arguments.config).await?;
    Ok(0)
}

pub(super) async fn status(arguments: &Arguments, printer: Printer) -> Result<u8, Failure> {
    let agent = agent(arguments)?;
    let status = pass::status(&agent).await?;
    printer.status(&status);
    Ok(status.condition.exit_code())
}

pub(super) async fn adopt(arguments: &Arguments, printer: Printer, dry_run: bool) -> Result<u8, Failure> {
    let agent = agent(arguments)?;
    let adoption = adoption::prepare(&agent).await?;
    let file = agent.settings.falco.config_file.as_str();
    let diff = match &adoption.after {
        Some(after) => {
            TextDiff::from_lines(adoption.before.as_str(), after).unified_diff().header(file, file).to_string()
        }
        None => String::new(),
    };
    if !dry_run {
        adoption::carry_out(&agent, &adoption)?;
    }
    let done = match (&adoption.after, dry_run) {
        (None, _) => format!("{file} includes {} already", agent.include()),
        (Some(_), true) => format!("{file} would change; run this without --dry-run to change it"),
        (Some(_), false) => format!("{file} now includes {}", agent.include()),
    };
    let hint = "its metrics are off: falconer cannot prove by sha256 what Falco has loaded; docs/falco.md says how to switch them on";
    let advice = if adoption.serves_metrics { String::new() } else { format!("\n{hint}") };
    let value = json!({
        "file": file,
        "include": agent.include(),
        "changed": adoption.after.is_some() && !dry_run,
        "diff": diff,
        "metrics": adoption.serves_metrics,
    });
    printer.answer(&format!("{diff}{done}{advice}"), &value);
    Ok(if dry_run && adoption.after.is_some() { PENDING } else { 0 })
}

pub(super) fn agent(arguments: &Arguments) -> Result<Agent, Failure> {
    Ok(Agent::new(settings(arguments)?)?)
}

/// The settings that agent.toml says.
pub(super) fn settings(arguments: &Arguments) -> Result<Settings, Failure> {
    Ok(settings::read(&arguments.config).map_err(PassError::from)?)
}

const fn when(refresh: bool) -> Refresh {
    if refresh { Refresh::Now } else { Refresh::WhenOld }
}

impl From<PassError> for Failure {
    fn from(error: PassError) -> Self {
        let busy = matches!(error, PassError::Store(StoreError::Busy { .. }));
        let (remedy, hint): (Remedy, _) = (error.remedy(), error.hint());
        Self { busy, ..Self::of(error, remedy, hint) }
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        let busy = matches!(error, DaemonError::Second { .. });
        let (remedy, hint) = (error.remedy(), Some(error.hint()));
        Self { busy, ..Self::of(error, remedy, hint) }
    }
}
