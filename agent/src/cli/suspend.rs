//! `falconer suspend` and `falconer resume`: nothing on the host is changed for a while.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::window::Suspension;
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::arguments::Arguments;
use super::print::Printer;
use super::{Failure, host};
use crate::pass::{self, PassError};
use crate::settings::Settings;
use crate::socket::{self, Question};
use crate::store::{Locked, StateDirectory, StoreError};
use crate::zones;

/// How long a pass that is under way is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What can be typed after `suspend`.
#[derive(Debug, Args)]
pub(super) struct Suspend {
    /// Why, for reports and for whoever comes next
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// For so long, e.g. `2h` or `1d 12h`
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "until")]
    lasts: Option<Duration>,
    /// Until then, e.g. `2027-01-04T06:00:00Z`, or `2027-01-04 06:00` in this machine's time zone
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
}

pub(super) async fn suspend(arguments: &Arguments, printer: Printer, asked: &Suspend) -> Result<u8, Failure> {
    let settings = host::settings(arguments)?;
    // Whole seconds are all that a person wants to read.
    let now = Timestamp::from_second(i64::try_from(crate::daemon::now()).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    let until = match asked.lasts {
        Some(lasts) => Some(
            now.checked_add(lasts)
                .map_err(|error| Failure::of(error, Remedy::Operator, Some("name a shorter time".to_string())))?,
        ),
        None => asked.until,
    };
    if until.is_some_and(|until| until <= now) {
        let hint = Some("name a time that is still to come".to_string());
        return Err(Failure::of("that time has passed", Remedy::Operator, hint));
    }
    let suspension = Suspension { reason: asked.reason.clone(), since: Some(now), until };
    pass::suspend(&locked(&settings).await?, Some(&suspension))?;
    tell_daemon(&settings).await;
    let until = until.map_or("until `falconer resume`".to_string(), |until| format!("until {until}"));
    printer.answer(&format!("suspended {until}: nothing is changed on this host"), &json!({"suspended": suspension}));
    Ok(0)
}

pub(super) async fn resume(arguments: &Arguments, printer: Printer) -> Result<u8, Failure> {
    let settings = host::settings(arguments)?;
    let state = locked(&settings).await?;
    // A damaged one ends too.
    let was = pass::suspension(&state, crate::daemon::now()).unwrap_or(None);
    pass::suspend(&state, None)?;
    drop(state);
    tell_daemon(&settings).await;
    let text = if was.is_some() { "resumed: the next pass goes on" } else { "it was not suspended" };
    printer.answer(text, &json!({"suspended": null, "was": was}));
    Ok(0)
}

/// The state directory, when a pass that is under way has ended.
async fn locked(settings: &Settings) -> Result<Locked, PassError> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match StateDirectory::open(Path::new(settings.state.as_str()))?.lock() {
            Err(StoreError::Busy { .. }) if Instant::now() < give_up => sleep(LOOK).await,
            locked => return Ok(locked?),
        }
    }
}

/// Has a daemon notice it at once. Where none runs, the next pass does.
async fn tell_daemon(settings: &Settings) {
    let _nobody_runs = socket::ask(&settings.runtime, Question::default()).await;
}

/// A moment as it is typed.
fn moment(text: &str) -> Result<Timestamp, String> {
    let here = || text.parse::<DateTime>().ok()?.to_zoned(zones::local()).ok().map(|zoned| zoned.timestamp());
    let moment = text.parse::<Timestamp>().ok().or_else(here);
    moment.ok_or_else(|| "write it like 2027-01-04T06:00:00Z or `2027-01-04 06:00`".to_string())
}
