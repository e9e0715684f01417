//! When the next pass is due, and whom it asks.

use std::time::Duration;

use falconer_manifests::backoff::Backoff;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::schedule::{Phase, Schedule};
use jiff::Timestamp;

use crate::pass::Request;

/// After an error, a pass that the calendar would let wait for long is made up for after this long at the earliest.
const MAKE_UP: Duration = Duration::from_secs(300);
/// Hosts that wait for the same window spread over this long at most.
const SPREAD: Duration = Duration::from_secs(60);

/// What earlier passes mean for the next one.
#[derive(Debug, Default)]
pub struct Timing {
    backoff: Backoff,
    /// Nobody but the host is asked before.
    rest: Option<Timestamp>,
    /// An error is to be made up for, though no tick is near.
    make_up: Option<Timestamp>,
    /// A change that waits may be made.
    opens: Option<Timestamp>,
}

impl Timing {
    /// A pass that asked has ended at `now`, and `remedy` can end what went wrong. `chance` is from 0 to 1.
    pub fn asked(&mut self, remedy: Option<Remedy>, schedule: &Schedule, now: Timestamp, chance: f64) {
        self.backoff = self.backoff.after(remedy);
        let rest = self.backoff.rest(chance);
        self.rest = (!rest.is_zero()).then(|| later(now, rest));
        let is_calendar = matches!(schedule, Schedule::Calendar(_));
        self.make_up = self.rest.filter(|_| is_calendar).map(|rest| rest.max(later(now, MAKE_UP)));
    }

    /// A pass has ended, and a change waits for `opens`.
    pub fn waits(&mut self, opens: Option<Timestamp>, every: Duration, chance: f64) {
        let spread = (every / 10).min(SPREAD).mul_f64(chance);
        self.opens = opens.map(|opens| later(opens, spread));
    }

    /// When the next pass is due.
    pub fn next(&self, schedule: &Schedule, phase: Phase, now: Timestamp) -> Timestamp {
        // A calendar that has ended leaves the looking at the host.
        let tick = schedule.next(phase, now).unwrap_or_else(|| later(now, Duration::from_secs(24 * 3600)));
        [self.make_up, self.opens].into_iter().flatten().filter(|due| *due > now).fold(tick, Ord::min)
    }

    /// What a pass that is due at `now` is asked for: while it is rested, the host alone is looked at.
    pub fn request(&self, now: Timestamp) -> Request {
        // A rest is never longer than this; one that ends later was counted by a clock that has been set back.
        let longest = later(now, falconer_manifests::backoff::LONGEST);
        match self.rest {
            Some(rest) if rest > now && rest <= longest => Request::HOST,
            _ => Request::ORDINARY,
        }
    }
}

fn later(moment: Timestamp, wait: Duration) -> Timestamp {
    moment.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use falconer_manifests::name::HostName;
    use jiff::SignedDuration;
    use jiff::tz::TimeZone;

    use super::*;

    fn asks(timing: &Timing, now: Timestamp) -> bool {
        timing.request(now) == Request::ORDINARY
    }

    #[test]
    fn errors_make_nobody_ask_more_often_and_stop_no_look() {
        let every = Schedule::Every(Duration::from_secs(60));
        let phase = Phase::of(&HostName::parse("web-1").unwrap());
        let mut now = Timestamp::from_second(1_800_000_000).unwrap();
        for remedy in [Remedy::Time, Remedy::Operator, Remedy::Us, Remedy::Author] {
            let (mut timing, mut asked, mut ticks) = (Timing::default(), Vec::new(), 0);
            for _ in 0..600 {
                let next = timing.next(&every, phase, now);
                assert!(next.duration_since(now) <= SignedDuration::from_secs(73), "looks go on");
                now = next;
                ticks += 1;
                if asks(&timing, now) {
                    asked.push(now);
                    timing.asked(Some(remedy), &every, now, 0.9);
                }
            }
            let spent = asked.last().unwrap().duration_since(asked[0]).as_secs();
            let longest = asked.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).max().unwrap();
            match remedy {
                Remedy::Author => assert_eq!(asked.len(), ticks),
                _ => assert!((3000..=3700).contains(&longest) && spent > 0, "{remedy:?} {longest}"),
            }
            assert!(asked.windows(2).all(|pair| pair[1].duration_since(pair[0]).as_secs() >= 47), "{remedy:?}");
        }
    }

    #[test]
    fn a_calendar_makes_up_for_errors_and_a_window_is_not_slept_through() {
        let daily = Schedule::cron("0 3 * * *", &TimeZone::UTC, &|_| None).unwrap();
        let phase = Phase::of(&HostName::parse("web-1").unwrap());
        let now: Timestamp = "2026-11-23T03:04:00Z".parse().unwrap();
        let mut timing = Timing::default();
        let minutes = |timing: &Timing| timing.next(&daily, phase, now).duration_since(now).as_mins();
        assert!(minutes(&timing) > 23 * 60);
        timing.asked(Some(Remedy::Time), &daily, now, 1.0);
        assert_eq!(minutes(&timing), 5);
        timing.asked(None, &daily, now, 1.0);
        assert!(minutes(&timing) > 23 * 60);
        timing.waits(Some(now + SignedDuration::from_mins(30)), Duration::from_secs(300), 1.0);
        assert_eq!(minutes(&timing), 30);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_rest() {
        let every = Schedule::Every(Duration::from_secs(60));
        let now: Timestamp = "2026-11-23T03:04:00Z".parse().unwrap();
        let mut timing = Timing::default();
        timing.asked(Some(Remedy::Operator), &every, now, 1.0);
        assert!(!asks(&timing, now));
        assert!(asks(&timing, now - SignedDuration::from_hours(48)));
    }
}
