//! `falconer events` tells what the last passes have changed or failed, and nothing of the others.

use std::io::Write as _;
use std::path::Path;

use falconer_tests::falco_stand_in::Fault;
use falconer_tests::host::{Host, HostWithFalco, RULES, fleet_yaml};
use serde_json::{Value, json};

fn events(host: &Host, more: &[&str]) -> Vec<Value> {
    let answer = host.falconer(["events", "--output", "json"].iter().chain(more)).ended_with(0).json();
    answer.as_array().unwrap().clone()
}

fn kinds(host: &Host) -> Vec<String> {
    events(host, &[]).iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn updates_drift_and_failures_are_told_with_their_causes_and_once() {
    let host = Host::adopted();
    assert!(host.falconer(["events"]).ended_with(0).stdout.contains("no pass has changed or failed anything"));
    let _first = host.once().ended_with(0);
    host.publish(&format!("{RULES}# 1.1.0\n"), "1.1.0");
    let commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let _updated = host.once().ended_with(0);
    std::fs::write(host.live("acme-rules.yaml"), "- list: evil\n  items: []\n").unwrap();
    let _healed = host.once().ended_with(0);
    let state = host.snapshot("state");
    let _nothing = host.once().ended_with(0);
    assert_eq!(state.differences(&host.snapshot("state")), Vec::<&Path>::new());
    std::fs::rename(host.path("fleet"), host.path("away")).unwrap();
    let _failed = host.once().ended_with(1);
    let state = host.snapshot("state");
    let _failed_in_the_same_way = host.once().ended_with(1);
    assert_eq!(state.differences(&host.snapshot("state")), Vec::<&Path>::new());
    std::fs::rename(host.path("away"), host.path("fleet")).unwrap();
    let _recovered = host.once().ended_with(0);
    assert_eq!(kinds(&host), ["changed", "changed", "healed", "failed", "recovered"]);

    let all = events(&host, &[]);
    let [_, updated, healed, failed, _] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((&updated["revision"], &updated["generation"]), (&json!(commit), &json!(2)));
    assert_eq!(updated["changes"][0]["kind"], json!("update"));
    assert!(updated["changes"][0]["because"].as_str().unwrap().contains("1.1.0"), "{updated}");
    assert_eq!((&healed["drift"][0]["kind"], &healed["condition"]), (&json!("modified"), &json!("InSync")));
    assert!(failed["error"]["message"].is_string() && failed["error"]["remedy"].is_string(), "{failed}");
    assert!(updated["time"].as_str().unwrap().ends_with('Z'));

    assert_eq!(events(&host, &["-n", "2"]), all[3..]);
    assert_eq!(events(&host, &["--since", "1h"]).len(), 5);
    let text = host.falconer(["events", "-n", "3"]).ended_with(0).stdout;
    for words in ["healed revision", "drift ", "failed revision", "error ", "recovered revision"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let wrong = host.falconer(["events", "--since", "yesterday"]).ended_with(64);
    assert!(wrong.stderr.contains("--since"), "{}", wrong.stderr);
}

#[test]
fn a_generation_that_falco_refuses_is_told_as_rolled_back() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    host.start_falco(&[Fault::DieAtReload]);
    host.publish(&format!("{RULES}# 2.0.0\n"), "2.0.0");
    let commit = host.commit(&[("fleet.yaml", &fleet_yaml("2.0.0"))]);
    let _rolled_back = host.once().ended_with(1);
    let _held = host.once().ended_with(1);
    let last = events(&host, &["-n", "1"]).remove(0);
    assert_eq!((&last["kind"], &last["condition"]), (&json!("rolled-back"), &json!("RolledBack")));
    assert_eq!(last["wanted"], json!(commit));
    assert!(last["reason"].as_str().unwrap().contains("is held"), "{last}");
}

#[test]
fn events_survive_a_torn_line_and_a_file_that_is_none() {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    let path = host.path("state/events.jsonl");
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at\": 17, \"ki").unwrap();
    assert_eq!(kinds(&host), ["changed"]);
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    let _healed = host.once().ended_with(0);
    assert_eq!(kinds(&host), ["changed", "healed"]);

    std::fs::write(&path, vec![b'x'; 3 << 20]).unwrap();
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    let run = host.once().ended_with(0);
    assert!(run.stderr.contains("make room for new ones"), "{}", run.stderr);
    assert_eq!(kinds(&host), ["healed"]);
}
