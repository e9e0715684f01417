//! `[schedule]`: when passes run.

use std::time::Duration;

use falconer_manifests::schedule::Schedule as When;

use super::document::{Period, Schedule as Written};
use super::{Files, SettingsError};
use crate::zones;

/// The time between two passes where nothing is said.
const EVERY: Duration = Duration::from_secs(300);
/// Passes are not made more often than this.
const LEAST: Duration = Duration::from_secs(1);

/// When passes run.
#[derive(Debug)]
pub struct Schedule {
    /// When.
    pub when: When,
    /// The time between two passes, or the usual one between two times of a calendar.
    pub every: Duration,
    /// How long a resolution without a committed lockfile is good for.
    pub resolve_every: Duration,
    /// How long a pass may take. One that takes longer is stuck.
    pub deadline: Duration,
}

pub(super) fn check(files: &Files<'_>, written: Written) -> Result<Schedule, SettingsError> {
    let when = match (written.every, &written.cron) {
        (None, None) => When::Every(EVERY),
        (Some(Period(every)), None) if every >= LEAST => When::Every(every),
        (Some(_), None) => {
            return Err(files.refused("schedule.every", "is less than a second", "write it like 5m or 90s"));
        }
        (None, Some(cron)) => When::cron(cron, &zones::local(), &zones::find)
            .map_err(|error| files.refused("schedule.cron", &error.to_string(), error.hint))?,
        (Some(_), Some(_)) => {
            return Err(files.refused("schedule.cron", "stands beside `every`", "say one of the two"));
        }
    };
    if let Period(Duration::ZERO) = written.deadline {
        return Err(files.refused("schedule.deadline", "leaves no time for a pass", "write it like 30m"));
    }
    let every = when.usual_gap();
    Ok(Schedule { when, every, resolve_every: written.resolve_every.0, deadline: written.deadline.0 })
}
