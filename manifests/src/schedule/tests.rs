//! Tables of calendars, and properties of ticks.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The zone files of this machine.
fn zones(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn cron(text: &str) -> Result<Calendar, NotASchedule> {
    match Schedule::cron(text, &TimeZone::UTC, &zones)? {
        Schedule::Calendar(calendar) => Ok(calendar),
        Schedule::Every(period) => panic!("{text} is every {period:?}"),
    }
}

fn times(text: &str, from: &str, count: usize) -> Vec<String> {
    let calendar = cron(text).unwrap();
    let mut now: Timestamp = from.parse().unwrap();
    let mut times = Vec::new();
    for _ in 0..count {
        let Some(next) = calendar.after(now) else { break };
        times.push(next.to_zoned(calendar.zone.clone()).strftime("%a %d %b %Y %H:%M %:z").to_string());
        now = next;
    }
    times
}

#[test]
fn calendars() {
    for (text, from, expected) in [
        // Either day is enough; the names and the numbers of weekdays are cron's.
        ("0 0 13 * fri", "2026-11-01T00:00:00Z", ["Fri 06 Nov 2026 00:00 +00:00", "Fri 13 Nov 2026 00:00 +00:00"]),
        ("0 0 * * 7", "2026-11-02T00:00:00Z", ["Sun 08 Nov 2026 00:00 +00:00", "Sun 15 Nov 2026 00:00 +00:00"]),
        ("0 0 * * 0", "2026-11-02T00:00:00Z", ["Sun 08 Nov 2026 00:00 +00:00", "Sun 15 Nov 2026 00:00 +00:00"]),
        ("0 0 * * 1", "2026-11-03T00:00:00Z", ["Mon 09 Nov 2026 00:00 +00:00", "Mon 16 Nov 2026 00:00 +00:00"]),
        (
            "5/25 4 1 jan-mar *",
            "2026-11-03T00:00:00Z",
            ["Fri 01 Jan 2027 04:05 +00:00", "Fri 01 Jan 2027 04:30 +00:00"],
        ),
        // Leap days and ends of months.
        ("0 0 29 2 *", "2026-11-03T00:00:00Z", ["Tue 29 Feb 2028 00:00 +00:00", "Sun 29 Feb 2032 00:00 +00:00"]),
        ("0 0 29 2 *", "2097-01-01T00:00:00Z", ["Fri 29 Feb 2104 00:00 +00:00", "Wed 29 Feb 2108 00:00 +00:00"]),
        ("0 0 31 * *", "2026-12-31T00:00:00Z", ["Sun 31 Jan 2027 00:00 +00:00", "Wed 31 Mar 2027 00:00 +00:00"]),
        // Skipped by the clocks: when they have skipped it. Every half hour: what there is of it.
        (
            "TZ=America/New_York 30 2 * * *",
            "2027-03-14T05:00:00Z",
            ["Sun 14 Mar 2027 03:00 -04:00", "Mon 15 Mar 2027 02:30 -04:00"],
        ),
        (
            "CRON_TZ=America/New_York */30 * * * *",
            "2027-03-14T06:10:00Z",
            ["Sun 14 Mar 2027 01:30 -05:00", "Sun 14 Mar 2027 03:00 -04:00"],
        ),
        // Shown twice: once. Every hour: both.
        (
            "TZ=America/New_York 30 1 * * *",
            "2026-11-01T04:00:00Z",
            ["Sun 01 Nov 2026 01:30 -04:00", "Mon 02 Nov 2026 01:30 -05:00"],
        ),
        (
            "TZ=America/New_York 0 * * * *",
            "2026-11-01T04:30:00Z",
            ["Sun 01 Nov 2026 01:00 -04:00", "Sun 01 Nov 2026 01:00 -05:00"],
        ),
        (
            "TZ=Australia/Lord_Howe 45 1 * * *",
            "2027-04-03T00:00:00Z",
            ["Sun 04 Apr 2027 01:45 +11:00", "Mon 05 Apr 2027 01:45 +10:30"],
        ),
        ("@weekly", "2026-11-03T00:00:00Z", ["Sun 08 Nov 2026 00:00 +00:00", "Sun 15 Nov 2026 00:00 +00:00"]),
        (
            "TZ=Asia/Kolkata @daily",
            "2026-11-03T00:00:00Z",
            ["Wed 04 Nov 2026 00:00 +05:30", "Thu 05 Nov 2026 00:00 +05:30"],
        ),
    ] {
        assert_eq!(times(text, from, 2), expected, "{text}");
    }
}

#[test]
fn what_is_no_schedule() {
    for (text, said) in [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("60 * * * *", "is no time of cron"),
        ("*/0 * * * *", "is no time of cron"),
        ("0 0 30 2 *", "never comes"),
        ("@reboot", "a name that is not known"),
        ("@every", "no span of time"),
        ("@every6h", "no span of time"),
        ("@every 0s", "no span of time"),
        ("TZ=Europe/Atlantis 0 0 * * *", "unknown time zone `Europe/Atlantis`"),
        ("TZ=UTC", "five fields"),
    ] {
        let error = Schedule::cron(text, &TimeZone::UTC, &zones).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
}

#[test]
fn every_is_falcoctl_s_too() {
    let schedule = Schedule::cron("TZ=UTC @every 1h30m", &TimeZone::UTC, &zones).unwrap();
    assert!(matches!(schedule, Schedule::Every(period) if period == Duration::from_secs(5400)));
}

#[test]
fn hosts_spread_over_the_period() {
    let schedule = Schedule::Every(Duration::from_secs(100));
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut tenths = [0; 10];
    for host in 0..1000 {
        let phase = Phase::of(&HostName::parse(&format!("web-{host}")).unwrap());
        let wait = schedule.next(phase, now).unwrap().duration_since(now).as_secs();
        tenths[usize::try_from(wait / 10).unwrap().min(9)] += 1;
    }
    assert!(tenths.iter().all(|count| (60..150).contains(count)), "{tenths:?}");
}

fn phases() -> impl Strategy<Value = Phase> {
    any::<u64>().prop_map(Phase)
}

proptest! {
    #[test]
    fn ticks_are_a_period_apart_within_a_fifth(phase in phases(), seconds in 1_u64..100_000, start in 0_i64..4_000_000_000) {
        let schedule = Schedule::Every(Duration::from_secs(seconds));
        let period = SignedDuration::from_secs(i64::try_from(seconds).unwrap());
        let start = Timestamp::from_second(start).unwrap();
        let mut now = schedule.next(phase, start).unwrap();
        prop_assert!(now > start && now.duration_since(start) <= period + period / 5);
        for _ in 0..20 {
            let next = schedule.next(phase, now).unwrap();
            let gap = next.duration_since(now);
            prop_assert!(gap >= period - period / 5 - SignedDuration::from_millis(2), "{gap}");
            prop_assert!(gap <= period + period / 5 + SignedDuration::from_millis(2), "{gap}");
            // Asked in between, it is the same tick.
            prop_assert_eq!(schedule.next(phase, now + gap / 3), Some(next));
            now = next;
        }
    }

    #[test]
    fn no_time_of_a_calendar_is_lost_or_early(phase in phases(), asked in proptest::collection::vec(1_i64..4000, 1..40)) {
        let schedule = Schedule::cron("TZ=America/New_York 0 * * * *", &TimeZone::UTC, &zones).unwrap();
        // Over the night in which the clocks go back, asked again at any moments.
        let start: Timestamp = "2026-11-01T03:30:00Z".parse().unwrap();
        let (mut now, mut ticks) = (start, 0);
        for wait in asked {
            let then = now + SignedDuration::from_secs(wait);
            while let Some(due) = schedule.next(phase, now).filter(|due| *due <= then) {
                prop_assert!(due.as_second() % 3600 < 301, "{due}");
                ticks += 1;
                now = due;
            }
            now = then;
        }
        let hours = now.as_second() / 3600 - start.as_second() / 3600;
        prop_assert!(ticks == hours || ticks + 1 == hours && now.as_second() % 3600 < 301, "{ticks} of {hours}");
    }

    #[test]
    fn no_text_panics(text in "[-@*,/0-9a-zA-Z= ?#L]{0,30}") {
        let _any_answer_will_do = Schedule::cron(&text, &TimeZone::UTC, &zones);
    }
}
