//! The way back out: Falco goes on with the same rules, without falconer.

use falconer_tests::falco_stand_in::Fault;
use falconer_tests::host::{HostWithFalco, RULES, fleet_yaml};
use serde_json::json;

use super::falco_edited::edited;

/// The names and digests of the rules that Falco says it has loaded.
fn loaded(host: &mut HostWithFalco) -> Vec<String> {
    let metrics = host.falco().page("/metrics").unwrap();
    metrics.lines().filter(|line| line.contains("sha256_rules_files_info{")).map(String::from).collect()
}

/// falconer is removed, and Falco loads the same all the same.
fn goes_on_without_falconer(host: &mut HostWithFalco, rules: &[String]) {
    std::fs::remove_dir_all(host.path("state")).unwrap();
    host.start_falco(&[]);
    assert_eq!(loaded(host), rules);
}

#[test]
fn out_of_an_included_falco_and_in_again() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    let rules = loaded(&mut host);
    assert_eq!(rules.len(), 1, "{rules:?}");
    let (etc, before) = (host.snapshot("etc"), host.read("etc/falco.yaml"));
    let shown = host.falconer(["eject", "--dry-run", "--output", "json"]).ended_with(2).json();
    assert!(etc.differences(&host.snapshot("etc")).is_empty());
    let sighups = host.sighups();
    let done = host.falconer(["eject", "--output", "json"]).ended_with(0).json();
    assert_eq!((&done["diff"], &done["changed"], &done["evidence"]), (&shown["diff"], &json!(true), &json!("sha256")));
    assert_eq!(done["files"], json!(["rules/10-acme-rules.yaml", "settings.falconer.yaml"]));
    assert_eq!(host.sighups(), sighups + 1);
    assert!(!host.read("etc/falco.yaml").contains("/state/"), "{}", host.read("etc/falco.yaml"));
    assert_eq!(host.read("etc/falconer-ejected/rules/10-acme-rules.yaml"), RULES);
    assert_eq!(loaded(&mut host), rules);

    let refused = host.once().ended_with(1);
    assert!(refused.stderr.contains("ejected") && refused.stderr.contains("falconer adopt"), "{}", refused.stderr);
    let _refused = host.plan().ended_with(1);
    let status = host.status().ended_with(2).json();
    assert_eq!((&status["condition"], &status["drift"]), (&json!("Pending"), &json!([])));
    let again = host.falconer(["eject", "--output", "json"]).ended_with(0).json();
    assert_eq!(again["changed"], json!(false));

    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let status = host.once().ended_with(0).json();
    assert_eq!(status["condition"], json!("InSync"), "{status}");
    // The directory is the owner's now: it is not written over.
    host.write("etc/falconer-ejected/rules/10-acme-rules.yaml", "changed by the owner\n");
    let taken = host.falconer(["eject"]).ended_with(1);
    assert!(taken.stderr.contains("is there already") && taken.stderr.contains("--to"), "{}", taken.stderr);
    let _ejected = host.falconer(["eject", "--to", "etc/elsewhere"]).ended_with(0);
    goes_on_without_falconer(&mut host, &rules);
    assert_ne!(host.read("etc/falco.yaml"), before);
}

#[test]
fn out_of_an_edited_falco() {
    let mut host = edited("0.44.1");
    let before = host.read("etc/falco.yaml");
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let fleet = format!(
        "{}  - host: {}\nconfig: {{priority: warning}}\n",
        fleet_yaml("1.0.0"),
        host.path("etc/own_rules.yaml").display()
    );
    let _commit = host.commit(&[("fleet.yaml", &fleet)]);
    let _status = host.once().ended_with(0);
    let rules = loaded(&mut host);
    assert_eq!(rules.len(), 2);
    let done = host.falconer(["eject", "--output", "json"]).ended_with(0).json();
    assert_eq!(done["evidence"], json!("sha256"));
    let text = host.read("etc/falco.yaml");
    assert!(!text.contains("/state/") && !text.contains(">>>") && text.contains("\npriority: \"warning\""), "{text}");
    assert!(
        before
            .lines()
            .all(|line| text.lines().any(|other| other.strip_prefix("# ").unwrap_or(other) == line || other == line))
    );
    let _refused = host.once().ended_with(1);
    goes_on_without_falconer(&mut host, &rules);
}

#[test]
fn everything_back_as_it_was() {
    for (version, included) in [("0.36.2", false), ("0.44.1", false), ("0.44.1", true)] {
        let mut host = if included { HostWithFalco::start(true, &[]) } else { edited(version) };
        let before = host.read("etc/falco.yaml");
        let _adopted = host.falconer(["adopt"]).ended_with(0);
        let _status = host.once().ended_with(0);
        let _ejected = host.falconer(["eject", "--restore"]).ended_with(0);
        assert_eq!(host.read("etc/falco.yaml"), before, "{version}");
        assert!(!host.path("etc/falconer-ejected").exists());
        host.stop_falco();
    }
}

#[test]
fn a_falco_that_does_not_take_it_is_told() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    host.start_falco(&[Fault::IgnoreSighup]);
    let failed = host.falconer(["eject"]).ended_with(1);
    assert!(failed.stderr.contains("was not seen to load them"), "{}", failed.stderr);
    assert!(!host.read("etc/falco.yaml").contains("/state/"));
}
