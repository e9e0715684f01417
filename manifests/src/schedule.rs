//! When passes run: every so often, or at times of a calendar.
//!
//! The moment of each tick follows from the schedule and the host's name alone, so that hosts spread evenly and always the
//! same way, and a tick that was computed twice is the same tick.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::digest::Digest;
use crate::name::HostName;

mod pattern;

/// Finds a zone of the IANA database by its name. Zone files are somebody else's to read.
pub type Zones<'a> = &'a dyn Fn(&str) -> Option<TimeZone>;

/// The longest that a host starts after a time of its calendar.
const LONGEST_SPREAD: SignedDuration = SignedDuration::from_secs(300);

/// How many times of a calendar tell how far they lie apart.
const GAPS: usize = 32;

/// When passes run.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// Again and again after this long, at least a second.
    Every(Duration),
    /// At times of a calendar.
    Calendar(Calendar),
}

/// Times of a calendar: five fields of cron, in a time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    pattern: Cron,
    zone: TimeZone,
}

/// Where in a period the host's own moments lie; made of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase(u64);

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {problem}")]
pub struct NotASchedule {
    /// The text.
    pub text: String,
    /// What is wrong with it, as the end of a sentence.
    pub problem: String,
    /// What a right one looks like.
    pub hint: &'static str,
}

impl Phase {
    /// The phase of a host.
    #[must_use]
    pub fn of(host: &HostName) -> Self {
        let digest = Digest::of(host.as_str().as_bytes());
        let head = digest.hex().get(..16).and_then(|head| u64::from_str_radix(head, 16).ok());
        Self(head.unwrap_or_default())
    }

    /// A part of `whole` that is this host's own, from nothing to just below the whole.
    fn of_span(self, whole: SignedDuration) -> SignedDuration {
        part(whole, self.0)
    }

    /// A part of `whole` that is this host's own and another one for every `tick`.
    fn of_tick(self, tick: i64, whole: SignedDuration) -> SignedDuration {
        part(whole, mixed(self.0 ^ tick.cast_unsigned()))
    }
}

/// `of`/2^64 of `whole`, to the millisecond.
fn part(whole: SignedDuration, of: u64) -> SignedDuration {
    let millis = u128::try_from(whole.as_millis()).unwrap_or_default();
    let part = millis.saturating_mul(u128::from(of)) >> 64_u32;
    SignedDuration::from_millis(i64::try_from(part).unwrap_or_default())
}

/// The finaliser of `SplitMix64`: neighbouring numbers become numbers that have nothing to do with each other.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Schedule {
    /// A schedule as cron and falcoctl write it: five fields, `@hourly` and its like, `@every 6h`, all of them after
    /// `TZ=ZONE ` or `CRON_TZ=ZONE ` where another zone than `local` is meant.
    ///
    /// Where both the day of the month and the day of the week are given, either is enough (crontab(5)). A time that the
    /// clocks skip comes when they have skipped it; one that they show twice comes once, but one for every hour or every
    /// few minutes comes in both hours.
    ///
    /// # Errors
    /// [`NotASchedule`], also for days that never come, such as 30 February.
    pub fn cron(text: &str, local: &TimeZone, zones: Zones<'_>) -> Result<Self, NotASchedule> {
        let refused = |problem: String, hint| NotASchedule { text: text.to_string(), problem, hint };
        let trimmed = text.trim();
        let named = trimmed.strip_prefix("CRON_TZ=").or_else(|| trimmed.strip_prefix("TZ="));
        let (zone, fields) = match named {
            None => (local.clone(), trimmed),
            Some(rest) => {
                let (name, fields) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let hint = "name a zone of the IANA database, e.g. Europe/Berlin; the system's zone files (tzdata) must be there";
                (
                    zones(name).ok_or_else(|| refused(format!("names the unknown time zone `{name}`"), hint))?,
                    fields.trim(),
                )
            }
        };
        if let Some(span) = fields.strip_prefix("@every") {
            let hint = "write a span of at least a second, e.g. @every 1h30m";
            let seconds = crate::falcoctl_yaml::duration::seconds(span.trim());
            return match seconds {
                Some(seconds) if span.starts_with(char::is_whitespace) => Ok(Self::Every(Duration::from_secs(seconds))),
                _ => Err(refused("names no span of time".to_string(), hint)),
            };
        }
        let hint = "write five fields (minute, hour, day of month, month, day of week), e.g. `30 4 * * mon-fri`, or @hourly, @daily, @every 6h";
        let fields = pattern::standard(fields).map_err(|problem| refused(problem.to_string(), hint))?;
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(false).build();
        let pattern = parser.parse(&fields).map_err(|error| refused(format!("is no time of cron ({error})"), hint))?;
        let calendar = Calendar { pattern, zone };
        if calendar.after(Timestamp::UNIX_EPOCH).is_none() {
            return Err(refused("never comes".to_string(), "name a day that there is"));
        }
        Ok(Self::Calendar(calendar))
    }

    /// The time between two ticks; of a calendar the longest of its first ones.
    #[must_use]
    pub fn usual_gap(&self) -> Duration {
        match self {
            Self::Every(period) => *period,
            Self::Calendar(calendar) => {
                let mut times =
                    core::iter::successors(calendar.after(Timestamp::UNIX_EPOCH), |time| calendar.after(*time));
                let mut last = times.next();
                let gaps = times.take(GAPS).filter_map(|time| Some(time.duration_since(last.replace(time)?)));
                let longest = gaps.max().and_then(|gap| Duration::try_from(gap).ok());
                longest.unwrap_or(Duration::from_secs(24 * 3600))
            }
        }
    }

    /// The first tick of the host after `now`.
    ///
    /// `Every`: one in each period, at the host's own place in it, up to a tenth of the period earlier or later.
    /// `Calendar`: at a time of the calendar or up to a tenth of the way to the time after it later, at most 5 minutes.
    /// `None` when the calendar ends.
    #[must_use]
    pub fn next(&self, phase: Phase, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(period) => every(*period, phase, now),
            Self::Calendar(calendar) => calendar.next(phase, now),
        }
    }
}

fn every(period: Duration, phase: Phase, now: Timestamp) -> Option<Timestamp> {
    let period = SignedDuration::try_from(period).ok()?.max(SignedDuration::from_secs(1));
    let millis = i64::try_from(period.as_millis()).ok()?;
    let own = phase.of_span(period);
    let tenth = period / 10;
    let due = |tick: i64| {
        let start = Timestamp::from_millisecond(tick.checked_mul(millis)?).ok()?;
        let jitter = phase.of_tick(tick, tenth + tenth) - tenth;
        start.checked_add(own + jitter).ok()
    };
    let first = now.as_millisecond().div_euclid(millis) - 2;
    (first..first + 5).filter_map(due).find(|due| *due > now)
}

impl Calendar {
    fn next(&self, phase: Phase, now: Timestamp) -> Option<Timestamp> {
        // A tick may be due whose time has passed.
        let mut time = self.after(now.checked_sub(LONGEST_SPREAD + SignedDuration::from_secs(1)).ok()?)?;
        loop {
            let following = self.after(time);
            let gap = following.map_or(LONGEST_SPREAD * 10, |following| following.duration_since(time));
            let spread = (gap / 10).min(LONGEST_SPREAD);
            // Nine parts of it by the host's name, so that a host keeps its moment, and one by the tick.
            let late = phase.of_span(spread / 10 * 9) + phase.of_tick(time.as_second(), spread / 10);
            let due = time.checked_add(late).ok()?;
            if due > now {
                return Some(due);
            }
            time = following?;
        }
    }

    /// The first time of the calendar after `now`.
    #[must_use]
    pub fn after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        self.pattern.find_next_occurrence(&now, false).ok().map(|time| time.timestamp())
    }
}

#[cfg(test)]
mod tests;
