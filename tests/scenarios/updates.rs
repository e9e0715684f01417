//! Commits arrive: what they ask for becomes live, and what cannot be had does not.

mod locked;
mod refused;

use falconer_tests::host::{Host, RULES, fleet_yaml};
use serde_json::{Value, json};

/// A rules file of the repository.
const OWN: &str = "- list: own_binaries\n  items: [falconer]\n";

/// A fleet.yaml that asks for `version` and, in this order, for these entries; then `more`.
fn fleet(version: &str, entries: &[&str], more: &str) -> String {
    let entries: String = entries.iter().map(|entry| format!("  - {entry}\n")).collect();
    format!(
        "version: 1\nartifacts:\n  acme-rules: {{ref: \"oci:artifacts\", version: \"{version}\"}}\nrules_files:\n{entries}{more}"
    )
}

/// The next pass, planned and made: it ends well, its changes are these, and nothing is left to do.
#[track_caller]
fn changes_to(host: &Host, changes: &[(&str, &str)]) -> Value {
    let plan = host.plan().json();
    let status = host.once().ended_with(0).json();
    let pairs = |answer: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let changes = answer["changes"].as_array().unwrap();
        changes.iter().map(|change| (text(&change["kind"]), text(&change["name"]))).collect()
    };
    let expected: Vec<_> = changes.iter().map(|(kind, name)| ((*kind).to_string(), (*name).to_string())).collect();
    assert_eq!(pairs(&status), expected, "{status:#}");
    assert_eq!(plan["changes"], status["changes"], "the plan says what the pass does");
    assert_eq!((&status["condition"], &status["drift"]), (&json!("InSync"), &json!([])));
    assert_eq!(status["revision"], plan["revision"]);
    status
}

fn live_files(host: &Host) -> Vec<String> {
    let entries = std::fs::read_dir(host.path("state/current/rules")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn one_commit_after_the_other() {
    let host = Host::adopted();
    let _first = changes_to(&host, &[("add", "acme-rules")]);

    let generations = host.snapshot("state/generations");
    let commit = host.commit(&[("README.md", "words\n")]);
    let _nothing_loaded_changes = host.plan().ended_with(0);
    let status = changes_to(&host, &[]);
    assert_eq!((&status["revision"], &status["generation"]), (&json!(commit), &json!(1)));
    assert_eq!(generations.differences(&host.snapshot("state/generations")), Vec::<&std::path::Path>::new());
    assert_eq!(host.host_lock().applied.unwrap().as_str(), commit);

    host.publish(&format!("{RULES}# 1.1.0\n"), "1.1.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let status = changes_to(&host, &[("update", "acme-rules")]);
    assert_eq!((&status["generation"], &status["artifacts"][0]["version"]), (&json!(2), &json!("1.1.0")));
    assert!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap().ends_with("# 1.1.0\n"));

    let both = ["artifact: acme-rules", "file: rules/own.yaml"];
    let _commit = host.commit(&[("fleet.yaml", &fleet("1.1.0", &both, "")), ("rules/own.yaml", OWN)]);
    let _status = changes_to(&host, &[("add", "rules/own.yaml")]);
    assert_eq!(live_files(&host), ["10-acme-rules.yaml", "20-own.yaml"]);
    assert_eq!(host.read("state/current/rules/20-own.yaml"), OWN);

    let _commit = host.commit(&[("rules/own.yaml", &format!("{OWN}# more\n"))]);
    let status = changes_to(&host, &[("update", "rules/own.yaml")]);
    assert_eq!(host.read("state/current/rules/20-own.yaml"), format!("{OWN}# more\n"));
    assert!(status["files"][0]["path"].as_str().unwrap().ends_with("20-own.yaml"), "{status:#}");

    let other_order = ["file: rules/own.yaml", "artifact: acme-rules"];
    let _commit = host.commit(&[("fleet.yaml", &fleet("1.1.0", &other_order, ""))]);
    let _status = changes_to(&host, &[("reorder", "rules_files")]);
    let include = host.read("state/current/falconer.yaml");
    assert!(include.find("10-own.yaml").unwrap() < include.find("20-acme-rules.yaml").unwrap(), "{include}");

    let _commit = host.commit(&[("fleet.yaml", &fleet("1.1.0", &other_order, "config: {priority: warning}\n"))]);
    let _status = changes_to(&host, &[("add", "priority")]);
    assert!(host.read("state/current/falconer.yaml").contains("priority: \"warning\"\n"));

    let _commit = host.commit(&[(
        "fleet.yaml",
        &fleet("1.1.0", &["file: rules/own.yaml"], "")
            .replace("artifacts:\n  acme-rules: {ref: \"oci:artifacts\", version: \"1.1.0\"}\n", ""),
    )]);
    let status = changes_to(&host, &[("remove", "acme-rules"), ("remove", "priority")]);
    assert_eq!(live_files(&host), ["10-own.yaml"]);
    assert_eq!(status["artifacts"], json!([]));
    assert!(!host.read("state/current/falconer.yaml").contains("priority"));

    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.0.0"))]);
    let status = changes_to(&host, &[("add", "acme-rules"), ("remove", "rules/own.yaml")]);
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES, "the old content is back");

    let mut kept: Vec<u64> = std::fs::read_dir(host.path("state/generations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    kept.sort_unstable();
    let newest = status["generation"].as_u64().unwrap();
    assert_eq!(kept, [newest - 2, newest - 1, newest]);
}

#[test]
fn the_maps_of_the_host_are_merged_whole_into_the_include() {
    let host = Host::adopted();
    let config = "config: {webserver: {prometheus_metrics_enabled: true}, metrics: {enabled: true}}\n";
    let _commit = host.commit(&[("fleet.yaml", &fleet("1.0.0", &["artifact: acme-rules"], config))]);
    let status = host.once().ended_with(0).json();
    assert_eq!(status["changes"][1]["name"], json!("metrics"), "{status:#}");
    let include: Value = serde_yaml::from_str(&host.read("state/current/falconer.yaml")).unwrap();
    // An include replaces whole keys: what the host's own falco.yaml has in the map must be in it too.
    let whole = json!({"enabled": true, "listen_port": 8765, "k8s_healthz_endpoint": "/healthz",
        "prometheus_metrics_enabled": true});
    assert_eq!(include["webserver"], whole);
    assert_eq!(include["metrics"], json!({"enabled": true}));
    assert_eq!(include.as_object().unwrap().len(), 3, "{include:#}");

    let falco_yaml = host.read("etc/falco.yaml").replace("listen_port: 8765", "listen_port: 9999");
    host.write("etc/falco.yaml", &falco_yaml);
    let status = host.once().ended_with(0).json();
    assert_eq!(status["changes"][0]["name"], json!("webserver"), "the owner of the host changed the map: {status:#}");
    let include: Value = serde_yaml::from_str(&host.read("state/current/falconer.yaml")).unwrap();
    assert_eq!(include["webserver"]["listen_port"], json!(9999));
}

#[test]
fn files_of_the_host_keep_their_place_and_stay_the_hosts() {
    let host = Host::adopted();
    let own = host.path("etc/own_rules.yaml");
    let entry = format!("host: {}", own.display());
    let entries = [entry.as_str(), "artifact: acme-rules"];
    let _commit = host.commit(&[("fleet.yaml", &fleet("1.0.0", &entries, ""))]);
    host.write("etc/own_rules.yaml", OWN);
    let _status = host.once().ended_with(0);
    let include = host.read("state/current/falconer.yaml");
    assert!(include.find(own.to_str().unwrap()).unwrap() < include.find("20-acme-rules.yaml").unwrap(), "{include}");
    host.write("etc/own_rules.yaml", "- list: changed\n  items: []\n");
    let _not_drift = host.plan().ended_with(0);
}

#[test]
fn a_repository_that_is_away_does_not_keep_drift_from_being_healed() {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    std::fs::rename(host.path("fleet"), host.path("away")).unwrap();
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    let status = host.once().ended_with(1).json();
    assert_eq!((&status["condition"], &status["changes"][0]["kind"]), (&json!("Failed"), &json!("heal")));
    assert!(status["error"]["message"].as_str().unwrap().contains("fleet"), "{status:#}");
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES);
    let before = host.snapshot("state");
    let _still_away = host.once().ended_with(1);
    assert_eq!(before.differences(&host.snapshot("state")), Vec::<&std::path::Path>::new());
    let _said = host.status().ended_with(1);
    std::fs::rename(host.path("away"), host.path("fleet")).unwrap();
    assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"));
    let _said = host.status().ended_with(0);
}

#[test]
fn a_rewritten_branch_is_not_followed() {
    let host = Host::adopted();
    let first = host.commit(&[("README.md", "one\n")]);
    let _status = host.once().ended_with(0);
    host.git(&["-C", "fleet", "commit", "-q", "--amend", "-m", "another past"]);
    let status = host.once().ended_with(1).json();
    assert_eq!((&status["revision"], &status["condition"]), (&json!(first), &json!("Failed")));
    let error = &status["error"];
    assert!(error["message"].as_str().unwrap().contains("rewritten") && error["hint"].is_string(), "{error:#}");
    assert_eq!(error["remedy"], json!("author"));
    host.git(&["-C", "fleet", "reset", "-q", "--hard", &first]);
    let last = host.commit(&[("README.md", "two\n")]);
    assert_eq!(host.once().ended_with(0).json()["revision"], json!(last));
}
