use alloc::collections::BTreeMap;
use alloc::string::ToString;

use super::*;

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn sent(reporting: &Reporting, content: &str, at: u64) -> Reporting {
    let intent = Intent { text: digest("text"), content: digest(content), number: reporting.number + 1, at };
    Reporting { intent: Some(intent), ..reporting.clone() }.arrived(&digest("here"), None)
}

const DAY: u64 = 86_400_000;
const FREE: Pace = Pace { heartbeat: DAY, coalesce: 10_000, spacing: 0 };

#[test]
fn changes_wait_for_others_and_never_longer() {
    let now = 50 * DAY;
    let mut reporting = sent(&Reporting::new("a".to_string()), "old", now - 1);
    let due = |reporting: &Reporting, now| FREE.due(&host("web-1"), reporting, &digest("here"), &digest("new"), now);
    assert_eq!(due(&reporting, now), Due { at: now + 10_000, why: Why::Change });
    reporting.waiting = Some(Waiting { since: now });
    assert_eq!(due(&reporting, now + 9_000).at, now + 10_000);
    // A clock that was set back.
    assert!(due(&reporting, now - DAY).at <= now - DAY + 10_000);
}

#[test]
fn an_unchanged_host_reports_once_in_a_period_at_an_hour_of_its_own() {
    let start = 50 * DAY + 12_345;
    let mut hours = BTreeMap::new();
    for number in 0..200 {
        let host = host(&alloc::format!("web-{number}"));
        let mut reporting = sent(&Reporting::new("a".to_string()), "same", start);
        for _day in 0..4 {
            let last = reporting.sent.as_ref().unwrap().at;
            let due = FREE.due(&host, &reporting, &digest("here"), &digest("same"), last);
            assert_eq!(due.why, Why::Heartbeat);
            assert!(due.at > last + DAY / 2 && due.at <= last + DAY * 3 / 2 + 1, "{}", due.at - last);
            reporting = sent(&reporting, "same", due.at);
        }
        *hours.entry(reporting.sent.unwrap().at % DAY / 3_600_000).or_insert(0) += 1;
    }
    assert!(hours.len() == 24 && hours.values().all(|count| *count < 25), "{hours:?}");
    // A clock that was a year ahead when the last report was sent.
    let ahead = sent(&Reporting::new("a".to_string()), "same", start + 365 * DAY);
    assert!(FREE.due(&host("web-1"), &ahead, &digest("here"), &digest("same"), start).at < start + 2 * DAY);
}

#[test]
fn a_fleet_that_changes_at_once_stays_within_its_budget() {
    for (fleet, per_minute, shards) in [(10_000, 6, 16), (500, 6, 1), (10, 6, 1), (3, 600, 1)] {
        let spacing = spacing(fleet, per_minute, shards);
        let hosts = fleet / shards.max(1);
        let pace = Pace { heartbeat: DAY, coalesce: 0, spacing };
        let now = 50 * DAY;
        let mut minutes = BTreeMap::new();
        for number in 0..hosts {
            let host = host(&alloc::format!("web-{number}"));
            let due = pace.due(&host, &Reporting::new("a".to_string()), &digest("here"), &digest("new"), now);
            assert!(due.at < now + spacing, "everybody has a turn");
            *minutes.entry((due.at - now) / 600_000).or_insert(0_u32) += 1;
        }
        // Moments follow from hashes, so ten minutes are looked at, and three deviations allowed.
        let most = f64::from(per_minute * 10);
        assert!(minutes.values().all(|count| f64::from(*count) <= most + 3.0 * most.sqrt()), "{fleet}: {minutes:?}");
    }
    assert_eq!(spacing(10_000, 6, 16), 6_250_000);
    assert_eq!(spacing(0, 0, 0), 0);
}

#[test]
fn waits_after_failures_grow_to_an_hour_and_spread() {
    assert_eq!((backoff(1, 1.0), backoff(2, 1.0), backoff(40, 1.0)), (5_000, 10_000, 3_600_000));
    assert_eq!((backoff(1, 0.0), backoff(0, 0.5)), (500, 2_750));
}

#[test]
fn urls_have_a_shard_that_stays() {
    let shards: alloc::collections::BTreeSet<_> =
        (0..200).map(|number| url("r-{shard}/{host}", &host(&alloc::format!("h{number}")), 4)).collect();
    assert_eq!(shards.len(), 200);
    let first = |text: &String| text.split('/').next().unwrap_or_default().to_string();
    let shards: alloc::collections::BTreeSet<_> = shards.iter().map(first).collect();
    assert_eq!(shards.iter().map(String::as_str).collect::<alloc::vec::Vec<_>>(), ["r-0", "r-1", "r-2", "r-3"]);
    assert_eq!(url("x", &host("a"), 0), "x");
}

#[test]
fn whose_a_found_report_is() {
    let (here, there) = (digest("here"), digest("there"));
    let text = |instance: &str, number: u64| {
        let row = Reporting { number, ..Reporting::new(instance.to_string()) };
        let head = "version = 1\nhost = \"web-1\"\nsequence = 1\ncondition = \"InSync\"\nreason = \"\"\n\
                    evidence = \"none\"\nvalidation = \"unvalidated\"\nfalco = \"absent\"\n";
        HostLock::parse(head).unwrap().chained(row.chain(0, 1, None)).render().unwrap()
    };
    let found = |text: String| Found { mark: None, text: Some(text) };
    let mut ours = sent(&Reporting::new("a".to_string()), "same", 0);
    ours.number = 5;
    assert_eq!(ours.whose(&here, &found(text("b", 1))), Whose::Rival("b".to_string()));
    // A copy of the state directory at work elsewhere.
    assert_eq!(ours.whose(&here, &found(text("a", 5))), Whose::Rival("a".to_string()));
    assert_eq!(ours.whose(&there, &found(text("b", 1))), Whose::Unexpected("b".to_string()));
    assert_eq!(ours.whose(&there, &found(text("a", 4))), Whose::Earlier);
    assert_eq!(ours.whose(&there, &Found { mark: None, text: None }), Whose::Unexpected("unknown".to_string()));
    let next = text("a", 5);
    let intent = Intent { text: digest(&next), content: here.clone(), number: 6, at: 0 };
    ours.intent = Some(intent);
    assert_eq!(ours.whose(&here, &found(next)), Whose::Intended);
    assert_eq!(Reporting::parse(&ours.render().unwrap()).unwrap(), ours);
}

#[test]
fn rivals_are_told_of_for_two_heartbeats() {
    let mut ours = Reporting::new("a".to_string());
    ours.rival = Some(Rival { instance: "b".to_string(), seen: 100 });
    let at = |now| ours.clone().without_old_rival(now, 50).rival;
    assert!(at(150).is_some() && at(200).is_none());
}
