//! A fleet in virtual time: when its hosts ask one server, through an outage of that server.
//!
//! When a host asks is up to falconer's own code: the schedule, the rest after errors, the times of reports. Only the clock
//! and the server are simulated.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use falconer::daemon::timing::Timing;
use falconer::pass::Reach;
use falconer_manifests::digest::Digest;
use falconer_manifests::name::HostName;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::report::{Intent, Pace, Reporting, Waiting, Why, backoff, slot};
use falconer_manifests::schedule::{Phase, Schedule};
use jiff::Timestamp;

/// Requests of a poll of a server that is known, and of a push.
const POLL: u32 = 1;
const PUSH: u32 = 2;
/// When it begins, in seconds since 1970.
const BEGIN: i64 = 1_800_000_000;
const HOUR: usize = 3600;

/// What the server saw: requests in each second.
#[derive(Debug)]
pub struct Seen {
    /// Before the outage.
    pub before: Vec<u32>,
    /// While nobody answered.
    pub outage: Vec<u32>,
    /// After it.
    pub after: Vec<u32>,
}

/// Asks for `hosts` hosts with this schedule: an hour that is well, an outage of an hour, and two hours after it. All of
/// them report to the same server that they poll; that the server is away is something new to report. `spacing` is the time
/// in milliseconds that belongs to one report of a host, 0 where the fleet has no budget.
#[must_use]
pub fn outage(hosts: u32, schedule: &Schedule, spacing: u64) -> Seen {
    let mut requests = vec![0; 4 * HOUR];
    let pace = Pace { heartbeat: 86_400_000, coalesce: 10_000, spacing };
    (0..hosts).for_each(|number| Host::new(number, pace).live(schedule, &mut requests));
    let part = |from: usize, to: usize| requests.get(from * HOUR..to * HOUR).unwrap_or_default().to_vec();
    Seen { before: part(0, 1), outage: part(1, 2), after: part(2, 4) }
}

/// What can be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick,
    Report,
}

struct Host {
    name: HostName,
    phase: Phase,
    chance: fastrand::Rng,
    pace: Pace,
    timing: Timing,
    reporting: Reporting,
    is_away: bool,
    changes: u32,
    content: Digest,
    failures: u32,
    retry: u64,
}

impl Host {
    fn new(number: u32, pace: Pace) -> Self {
        let name = HostName::parse(&format!("fleet-{number}")).unwrap();
        let chance = fastrand::Rng::with_seed(number.into());
        let well = Digest::of(b"well");
        // The last report was sent at this host's moment in the last day.
        let at = slot(&name, 86_400_000, milliseconds(BEGIN) - 86_400_000);
        let intent = Intent { text: well.clone(), content: well.clone(), number: 1, at };
        let reporting = Reporting { intent: Some(intent), ..Reporting::new("a".into()) }.arrived(&place(), None);
        Self {
            phase: Phase::of(&name),
            name,
            chance,
            pace,
            timing: Timing::default(),
            reporting,
            is_away: false,
            changes: 0,
            content: well,
            failures: 0,
            retry: 0,
        }
    }

    fn live(&mut self, schedule: &Schedule, requests: &mut [u32]) {
        let end = milliseconds(BEGIN) + requests.len() as u64 * 1000;
        let begin = milliseconds(BEGIN);
        let first = [(self.next_tick(schedule, begin), Event::Tick), (begin, Event::Report)];
        let mut due: BinaryHeap<_> = first.into_iter().map(Reverse).collect();
        while let Some(Reverse((now, event))) = due.pop().filter(|Reverse((now, _))| *now < end) {
            let second = usize::try_from((now - begin) / 1000).unwrap();
            let is_away = (HOUR..2 * HOUR).contains(&second);
            let changes = self.changes;
            if event == Event::Tick {
                let at = timestamp(now);
                if self.timing.request(at).reach == Reach::Everybody {
                    requests[second] += POLL;
                    // Every change has a number of its own, so that no report is the same as one before.
                    if self.is_away != is_away {
                        (self.is_away, self.changes) = (is_away, self.changes + 1);
                        self.content = Digest::of(&self.changes.to_le_bytes());
                    }
                    let remedy = is_away.then_some(Remedy::Time);
                    self.timing.asked(remedy, schedule, at, self.chance.f64());
                }
                due.push(Reverse((self.next_tick(schedule, now), Event::Tick)));
            }
            if event == Event::Report || changes != self.changes {
                due.retain(|Reverse((_, event))| *event == Event::Tick);
                due.push(Reverse((self.report(now, is_away, &mut requests[second]), Event::Report)));
            }
        }
    }

    fn next_tick(&self, schedule: &Schedule, now: u64) -> u64 {
        let next = self.timing.next(schedule, self.phase, timestamp(now));
        u64::try_from(next.as_millisecond()).unwrap()
    }

    /// Reports if it is due; gives when to look again.
    fn report(&mut self, now: u64, is_away: bool, requests: &mut u32) -> u64 {
        let due = self.pace.due(&self.name, &self.reporting, &place(), &self.content, now);
        let at = due.at.max(self.retry);
        if at > now {
            if due.why == Why::Change && self.reporting.waiting.is_none() {
                self.reporting.waiting = Some(Waiting { since: now });
            }
            return at;
        }
        if is_away {
            *requests += 1;
            self.failures += 1;
            self.retry = now + backoff(self.failures, self.chance.f64());
            return self.retry;
        }
        *requests += PUSH;
        (self.failures, self.retry) = (0, 0);
        let number = self.reporting.number + 1;
        self.reporting.intent =
            Some(Intent { text: self.content.clone(), content: self.content.clone(), number, at: now });
        self.reporting = self.reporting.arrived(&place(), None);
        self.pace.due(&self.name, &self.reporting, &place(), &self.content, now).at.max(now + 1)
    }
}

fn place() -> Digest {
    Digest::of(b"the server")
}

fn timestamp(milliseconds: u64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds.cast_signed()).unwrap()
}

fn milliseconds(seconds: i64) -> u64 {
    u64::try_from(seconds * 1000).unwrap()
}

/// A steady rate in requests a second, on average.
#[must_use]
pub fn rate(seconds: &[u32]) -> f64 {
    f64::from(seconds.iter().sum::<u32>()) / Duration::from_secs(seconds.len() as u64).as_secs_f64()
}

/// The most requests in one second.
#[must_use]
pub fn worst(seconds: &[u32]) -> u32 {
    seconds.iter().copied().max().unwrap_or_default()
}
