//! Lockfiles: a committed one is obeyed, a stale one refused.

use falconer_manifests::lockfile::Lockfile;

use super::*;

#[test]
fn a_committed_lockfile_is_obeyed_and_a_stale_one_refused() {
    let host = Host::adopted();
    let check = || host.falconer(["lock", "--check", "fleet"]);
    let _none_yet = check().ended_with(2);
    let written = host.falconer(["lock", "fleet", "--output", "json"]).ended_with(0).json();
    assert_eq!(written["changed"], json!(true));
    let text = host.read("fleet/falconer.lock");
    let lock = Lockfile::parse("falconer.lock", &text).unwrap();
    assert_eq!(lock.artifacts[0].version, "1.0.0");
    let _fresh = check().ended_with(0);
    let again = host.falconer(["lock", "fleet", "--output", "json"]).ended_with(0).json();
    assert_eq!((&again["changed"], host.read("fleet/falconer.lock")), (&json!(false), text));

    // The tag moves: who obeys the lock does not.
    host.publish(&format!("{RULES}# moved\n"), "1.0.0");
    let _commit = host.commit(&[]);
    let status = host.once().ended_with(0).json();
    assert_eq!(status["artifacts"][0]["digest"], json!(lock.artifacts[0].digest));
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES);
    assert_eq!(host.read("state/current/falconer.lock"), host.read("fleet/falconer.lock"));

    host.publish(RULES, "1.1.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let _stale = check().ended_with(2);
    let live = host.snapshot("state/generations");
    let refused = host.once().ended_with(1);
    let status = refused.json();
    assert_eq!((&status["condition"], &status["generation"]), (&json!("Failed"), &json!(1)));
    for said in [refused.stderr.as_str(), status["next"]["hint"].as_str().unwrap()] {
        assert!(said.contains("falconer lock"), "{said}");
    }
    assert_eq!(live.differences(&host.snapshot("state/generations")), Vec::<&std::path::Path>::new());

    let _locked = host.falconer(["lock", "fleet"]).ended_with(0);
    let _commit = host.commit(&[]);
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["condition"], &status["artifacts"][0]["version"]), (&json!("InSync"), &json!("1.1.0")));
}

#[test]
fn a_host_that_requires_a_lockfile_takes_nothing_without() {
    let host = Host::adopted();
    let agent = host.read("agent.toml").replace("url = \"fleet\"\n", "url = \"fleet\"\nlocked = \"required\"\n");
    host.write("agent.toml", &agent);
    let refused = host.once().ended_with(1);
    assert!(refused.stderr.contains("requires one") && refused.stderr.contains("falconer lock"), "{}", refused.stderr);
    assert!(!host.path("state/current").exists());
    let _locked = host.falconer(["lock", "fleet"]).ended_with(0);
    let _commit = host.commit(&[]);
    let _status = host.once().ended_with(0);
}

#[test]
fn without_a_lockfile_a_floating_tag_is_asked_for_again_when_told_to() {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    host.publish(&format!("{RULES}# moved\n"), "1.0.0");
    assert_eq!(host.once().ended_with(0).json()["generation"], json!(1), "the last answer is still good");
    assert_eq!(host.plan().ended_with(0).json()["changes"], json!([]));
    let status = host.falconer(["once", "--refresh", "--output", "json"]).ended_with(0).json();
    assert_eq!((&status["generation"], &status["changes"][0]["kind"]), (&json!(2), &json!("update")));
    assert!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap().ends_with("# moved\n"));
}
