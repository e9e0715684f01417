//! Tables of windows, and properties of openings.

use alloc::vec;

use proptest::prelude::*;

use super::*;

fn zones(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// `allow mon-fri 22:00 04:00 Europe/Berlin`.
fn window(text: &str) -> Window {
    let words: Vec<&str> = text.split(' ').collect();
    let [effect, days, from, to, zone] = words[..] else { panic!("{text}") };
    Window {
        effect: if effect == "allow" { Effect::Allow } else { Effect::Deny },
        acts: vec![Act::Apply],
        days: Days::parse(days).unwrap(),
        from: parse_time(from).unwrap(),
        to: parse_time(to).unwrap(),
        zone: parse_zone(zone).unwrap(),
        reason: (effect == "deny").then(|| "freeze".to_string()),
    }
}

fn at(windows: &[&str], now: &str) -> String {
    let windows: Vec<_> = windows.iter().map(|text| window(text)).collect();
    match closed(&windows, Act::Apply, now.parse().unwrap(), &zones).unwrap() {
        None => "open".to_string(),
        Some(closed) => closed.opens.map_or("never".to_string(), |opens| opens.to_string()),
    }
}

#[test]
fn windows() {
    let night = "allow mon-fri 22:00 04:00 Europe/Berlin";
    for (windows, now, expected) in [
        (&[][..], "2026-11-23T12:00:00Z", "open"),
        (&[night], "2026-11-23T12:00:00Z", "2026-11-23T21:00:00Z"),
        (&[night], "2026-11-23T21:00:00Z", "open"),
        (&[night], "2026-11-24T02:59:59Z", "open"),
        (&[night], "2026-11-24T03:00:00Z", "2026-11-24T21:00:00Z"),
        // The night from Friday to Saturday belongs to Friday.
        (&[night], "2026-11-28T02:00:00Z", "open"),
        (&[night], "2026-11-28T03:00:00Z", "2026-11-30T21:00:00Z"),
        // A denial counts more, for as long as it lasts.
        (&[night, "deny tue 00:00 02:00 UTC"], "2026-11-24T01:00:00Z", "2026-11-24T02:00:00Z"),
        (&["deny fri-mon 00:00 24:00 UTC"], "2026-11-27T00:00:00Z", "2026-12-01T00:00:00Z"),
        (&["deny mon-sun 00:00 00:00 UTC"], "2026-11-27T00:00:00Z", "never"),
        (&["allow sun 10:00 11:00 UTC", "deny sun 09:00 12:00 UTC"], "2026-11-27T00:00:00Z", "never"),
        (&["allow sun 10:00 11:00 UTC", "allow mon 10:00 11:00 UTC"], "2026-11-29T11:00:00Z", "2026-11-30T10:00:00Z"),
        // The clocks skip 02:30 in New York on 14 March 2027, and show 01:30 twice on 1 November 2026.
        (&["allow sun 02:30 04:00 America/New_York"], "2027-03-14T05:00:00Z", "2027-03-14T07:30:00Z"),
        (&["allow sun 01:30 02:00 America/New_York"], "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z"),
        (&["allow sun 01:30 02:00 America/New_York"], "2026-11-01T06:45:00Z", "open"),
        (&["allow sun 01:30 02:00 America/New_York"], "2026-11-01T07:00:00Z", "2026-11-08T06:30:00Z"),
        // A leap day.
        (&["allow tue 00:00 24:00 UTC"], "2028-02-28T12:00:00Z", "2028-02-29T00:00:00Z"),
        // A year's end, at the other side of the date line.
        (&["allow fri 00:00 01:00 Pacific/Kiritimati"], "2026-12-31T09:00:00Z", "2026-12-31T10:00:00Z"),
    ] {
        assert_eq!(at(windows, now), expected, "{windows:?} at {now}");
    }
}

#[test]
fn a_window_holds_back_what_it_names() {
    let now = "2026-11-23T12:00:00Z".parse().unwrap();
    let deny = window("deny mon-sun 00:00 24:00 UTC");
    let windows = core::slice::from_ref(&deny);
    assert_eq!(closed(windows, Act::Download, now, &zones), Ok(None));
    let found = closed(windows, Act::Apply, now, &zones).unwrap().unwrap();
    assert_eq!(found.sentence(), "the window for apply is closed (freeze)");
    let unknown = Window { zone: "Europe/Atlantis".to_string(), ..deny };
    assert!(closed(&[unknown], Act::Apply, now, &zones).is_err());
}

#[test]
fn what_is_no_time_of_the_week() {
    for text in ["", "mo", "mon-", "monkey", "mon fri", "1-5", "mon,,tue"] {
        assert!(Days::parse(text).is_err(), "{text}");
    }
    assert_eq!(Days::parse("sat-tue").unwrap(), Days::parse("Monday, tue,SAT,Sunday").unwrap());
    for text in ["", "6:30", "06:3", "24:01", "-1:00", "+6:30", "06:60", "06:30:00"] {
        assert!(parse_time(text).is_err(), "{text}");
    }
    for text in ["", "../etc/passwd", "/etc/localtime", "Europe/Berlin ", "1"] {
        assert!(parse_zone(text).is_err(), "{text}");
    }
}

#[test]
fn suspensions() {
    let until: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let suspension = Suspension { reason: Some("freeze".to_string()), since: None, until: Some(until) };
    assert!(suspension.holds(until - jiff::SignedDuration::from_secs(1)) && !suspension.holds(until));
    let waiting = suspension.waiting("root", "");
    assert_eq!(waiting.reason, "suspended by root until 2026-11-24T00:00:00Z: freeze");
    let kept = serde_json::to_vec(&suspension).unwrap();
    assert_eq!(Suspension::parse("suspension", &kept), Ok(suspension));
    assert!(Suspension::parse("suspension", b"{\"until\": \"x\"}").is_err());
}

fn some_window() -> impl Strategy<Value = Window> {
    let zones = ["UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"];
    let place = (1_u8..128, 0_i8..24, 0_i8..60, 0_i8..24, 0_i8..60);
    (any::<bool>(), place, 0..zones.len()).prop_map(move |(allow, (days, h1, m1, h2, m2), zone)| {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let named: Vec<_> =
            names.iter().enumerate().filter(|(day, _)| days & (1 << day) != 0).map(|(_, n)| *n).collect();
        Window {
            effect: if allow { Effect::Allow } else { Effect::Deny },
            acts: vec![Act::Apply],
            days: Days::parse(&named.join(",")).unwrap(),
            from: Time::new(h1, m1, 0, 0).unwrap(),
            to: Time::new(h2, m2, 0, 0).unwrap(),
            zone: zones[zone].to_string(),
            reason: None,
        }
    })
}

proptest! {
    #[test]
    fn closed_until_just_before_it_opens(windows in proptest::collection::vec(some_window(), 0..4), second in 1_790_000_000_i64..1_830_000_000) {
        let now = Timestamp::from_second(second).unwrap();
        let at = |now| closed(&windows, Act::Apply, now, &zones).unwrap();
        let Some(first) = at(now) else { return Ok(()) };
        let Some(opens) = first.opens else { return Ok(()) };
        prop_assert!(opens > now);
        prop_assert_eq!(at(opens), None);
        for part in 1..20 {
            let between = now + opens.duration_since(now) * part / 20;
            prop_assert_eq!(at(between).and_then(|closed| closed.opens), Some(opens), "{}", between);
        }
    }
}
