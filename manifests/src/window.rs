//! When a host may be changed: windows that allow or deny, and suspensions.
//!
//! Two things are held back apart from each other: `download`, which is fetching artifacts, and `apply`, which is making
//! another desired state live. Following Git, looking for drift, reporting, and putting right what is live already are held
//! back by no window.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};

pub use crate::schedule::Zones;

mod days;
mod suspension;
mod written;

pub use days::{Days, parse_time, parse_zone};
pub use suspension::Suspension;

/// How many days ahead windows are laid out. An opening is looked for up to the day before: windows repeat every week.
const AHEAD: i64 = 9;

/// What a window says of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Outside of all windows that allow, nothing may be done.
    Allow,
    /// In a window that denies, nothing may be done, whatever others allow.
    Deny,
}

/// What can be held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Fetching artifacts.
    Download,
    /// Making another desired state live.
    Apply,
}

impl Act {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Apply => "apply",
        }
    }
}

/// A time of the week.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "written::Written")]
pub struct Window {
    /// What it says.
    pub effect: Effect,
    /// Of what.
    pub acts: Vec<Act>,
    /// The days on which it begins.
    pub days: Days,
    /// When it begins.
    pub from: Time,
    /// When it ends; not after `from`: on the next day.
    pub to: Time,
    /// The zone of the IANA database that its times are of.
    pub zone: String,
    /// Why there is such a window.
    pub reason: Option<String>,
}

/// A window names a zone that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the time zone `{0}` is not known on this host")]
pub struct UnknownZone(pub String);

/// Something may not be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// What.
    pub act: Act,
    /// When it may be done again; `None` when no time is found at which the windows allow it.
    pub opens: Option<Timestamp>,
    /// Why, as its window says it.
    pub reason: Option<String>,
}

impl Closed {
    /// What is closed and why, as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let because = self.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("the window for {} is closed{because}", self.act.as_str())
    }
}

/// Whether `act` may be done at `now`: `None` when it may.
///
/// # Errors
/// [`UnknownZone`]: nothing may be assumed of a window whose time is not known.
pub fn closed(windows: &[Window], act: Act, now: Timestamp, zones: Zones<'_>) -> Result<Option<Closed>, UnknownZone> {
    let windows = windows.iter().filter(|window| window.acts.contains(&act));
    let windows = windows.map(|window| {
        let zone = zones(&window.zone).ok_or_else(|| UnknownZone(window.zone.clone()))?;
        Ok((window, spans(window, &zone, now)))
    });
    let windows: Vec<(&Window, Vec<Stretch>)> = windows.collect::<Result<_, UnknownZone>>()?;
    let Err(reason) = judged(&windows, now) else { return Ok(None) };
    let mut turns: Vec<Timestamp> = windows.iter().flat_map(|(_, spans)| spans).flat_map(|(a, b)| [*a, *b]).collect();
    turns.sort_unstable();
    let horizon = now.saturating_add(SignedDuration::from_hours(24 * (AHEAD - 1))).unwrap_or(Timestamp::MAX);
    let ahead = |turn: &Timestamp| *turn > now && *turn <= horizon;
    let opens = turns.into_iter().filter(ahead).find(|turn| judged(&windows, *turn).is_ok());
    Ok(Some(Closed { act, opens, reason }))
}

/// From, to just before.
type Stretch = (Timestamp, Timestamp);

/// Open, or closed with the reason of a window that closes.
fn judged(windows: &[(&Window, Vec<Stretch>)], at: Timestamp) -> Result<(), Option<String>> {
    let covers = |spans: &[Stretch]| spans.iter().any(|(from, to)| *from <= at && at < *to);
    let mut allows = windows.iter().filter(|(window, _)| window.effect == Effect::Allow).peekable();
    let denies = windows.iter().find(|(window, spans)| window.effect == Effect::Deny && covers(spans));
    if let Some((window, _)) = denies {
        return Err(window.reason.clone());
    }
    if allows.peek().is_none() || allows.any(|(_, spans)| covers(spans)) { Ok(()) } else { Err(None) }
}

/// The stretches of a window from the day before `now` on. A beginning or an end that the clocks skip is when they have
/// skipped it; of one that they show twice the first counts.
fn spans(window: &Window, zone: &TimeZone, now: Timestamp) -> Vec<Stretch> {
    let today = now.to_zoned(zone.clone()).date();
    let day = |days: i64| today.checked_add(Span::new().days(days)).ok();
    let stretch = |ahead: i64| {
        let first = day(ahead).filter(|date| window.days.contains(date.weekday()))?;
        let last = if window.to > window.from { first } else { day(ahead + 1)? };
        let instant = |date: jiff::civil::Date, time: Time| {
            let zoned = zone.to_ambiguous_zoned(date.to_datetime(time)).compatible();
            zoned.ok().map(|zoned| zoned.timestamp())
        };
        Some((instant(first, window.from)?, instant(last, window.to)?))
    };
    (-2..AHEAD).filter_map(stretch).collect()
}

/// Why a change that is known is not made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Why, as a sentence.
    pub reason: String,
    /// When it may be made; `None` when nobody knows.
    pub opens: Option<Timestamp>,
    /// Whether what is live is put right meanwhile.
    pub heals: bool,
    /// The next act.
    pub hint: String,
}

impl From<Closed> for Waiting {
    fn from(closed: Closed) -> Self {
        let hint = match closed.opens {
            Some(opens) => format!("goes on when it opens at {opens}; `falconer once --now` does not wait for it"),
            None => "the windows never open: correct them; `falconer once --now` does not wait for them".to_string(),
        };
        Self { reason: closed.sentence(), opens: closed.opens, heals: true, hint }
    }
}

#[cfg(test)]
mod tests;
