//! When a report is due. All times are in milliseconds since 1970, all spans in milliseconds.

use crate::digest::Digest;
use crate::name::HostName;

use super::{Reporting, number};

/// The wait after the first failure.
const FIRST: u64 = 5_000;
/// The longest wait after failures.
const LONGEST: u64 = 3_600_000;

/// How often a host may and must report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time after which an unchanged host reports again.
    pub heartbeat: u64,
    /// How long further changes are waited for, so that several are one report.
    pub coalesce: u64,
    /// The time that belongs to one report of this host, so that the fleet stays within its budget; 0: no budget.
    pub spacing: u64,
}

/// When a report is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The time.
    pub at: u64,
    /// Why.
    pub why: Why,
}

/// Why a report is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is something new.
    Change,
    /// There is not, and that too is told now and then.
    Heartbeat,
}

/// The time that belongs to one report of a host, when a fleet of `fleet_size` hosts shares `shards` repositories that
/// take `pushes_per_minute` each. A host that reports at most once in that time, at a moment of its own, keeps the whole
/// fleet within the budget, whatever happens to all of it at once.
#[must_use]
pub fn spacing(fleet_size: u32, pushes_per_minute: u32, shards: u32) -> u64 {
    let hosts = u64::from(fleet_size).div_ceil(u64::from(shards.max(1)));
    (hosts * 60_000).div_ceil(u64::from(pushes_per_minute.max(1)))
}

/// The first moment from `at` on that belongs to `host`, where each host has one in every `period`.
#[must_use]
pub fn slot(host: &HostName, period: u64, at: u64) -> u64 {
    if period == 0 {
        return at;
    }
    let phase = number(host, "report") % period;
    let late = (at % period + period - phase) % period;
    if late == 0 { at } else { at.saturating_add(period - late) }
}

/// The wait after the `failures`-th failure in a row: from 5 s doubling to an hour, drawn evenly from a tenth of that to
/// the whole by `chance`, from 0 to 1, so that a fleet does not come back at once.
#[must_use]
pub fn backoff(failures: u32, chance: f64) -> u64 {
    let ceiling = FIRST.saturating_mul(2_u64.saturating_pow(failures.saturating_sub(1))).min(LONGEST);
    let part = 0.1 + 0.9 * chance.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
    let wait = (ceiling as f64 * part) as u64;
    wait
}

impl Pace {
    /// When the report with this `content` is due at `place`, as seen at `now`.
    #[must_use]
    pub fn due(&self, host: &HostName, reporting: &Reporting, place: &Digest, content: &Digest, now: u64) -> Due {
        let sent = reporting.sent.as_ref().filter(|sent| &sent.place == place);
        match sent.filter(|sent| &sent.content == content) {
            Some(sent) => {
                let period = self.heartbeat.max(self.spacing);
                // A clock that was ahead must not keep us silent for as long as it was.
                let last = sent.at.min(now);
                let at = slot(host, period, last.saturating_add(period / 2).saturating_add(1));
                Due { at: slot(host, self.spacing, at), why: Why::Heartbeat }
            }
            None => {
                let since = reporting.waiting.as_ref().map_or(now, |waiting| waiting.since.min(now));
                let at = since.saturating_add(self.coalesce);
                Due { at: slot(host, self.spacing, at), why: Why::Change }
            }
        }
    }
}
