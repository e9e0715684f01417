//! `falconer check`: what an author or CI asks before a commit.

use falconer_tests::falco_stand_in::binary;
use falconer_tests::host::{Host, RULES, Run, fleet_yaml};
use serde_json::{Value, json};

/// Rules that only a Falco can refuse.
const TOO_NEW: &str = "- required_engine_version: 0.99.0\n";

fn check(host: &Host, arguments: &[&str]) -> Run {
    host.falconer(["check", "--output", "json"].iter().chain(arguments))
}

/// Validity, how that is known, and where each finding is.
fn short(run: &Run) -> (bool, String, Vec<String>) {
    let said = run.json();
    let place = |finding: &Value| format!("{}:{}", finding["file"].as_str().unwrap(), finding["line"]);
    let findings = said["findings"].as_array().unwrap().iter().map(place).collect();
    (said["valid"].as_bool().unwrap(), said["validation"].as_str().unwrap().to_string(), findings)
}

fn is(valid: bool, validation: &str, findings: &[&str]) -> (bool, String, Vec<String>) {
    (valid, validation.to_string(), findings.iter().map(ToString::to_string).collect())
}

#[test]
fn single_files_with_and_without_a_falco() {
    let host = Host::new();
    let falco = ["--falco".to_string(), binary().unwrap().display().to_string()];
    let falco: Vec<_> = falco.iter().map(String::as_str).collect();
    host.write("a.yaml", RULES);
    host.write("b.yaml", TOO_NEW);
    host.write("c.yaml", "- rule: A\n  desc: d\n  condition: c\n  output: o\n");
    assert_eq!(short(&check(&host, &["a.yaml"]).ended_with(0)), is(true, "unvalidated", &[]));
    assert_eq!(short(&check(&host, &["b.yaml"]).ended_with(0)), is(true, "unvalidated", &[]), "only Falco knows");
    assert_eq!(short(&check(&host, &["a.yaml", "c.yaml"]).ended_with(1)).2, ["c.yaml:1"]);

    assert_eq!(short(&check(&host, &[&["a.yaml"], &*falco].concat()).ended_with(0)), is(true, "falco 0.44.1", &[]));
    let refused = check(&host, &[&["a.yaml", "b.yaml", "a.yaml"], &*falco].concat()).ended_with(1);
    assert_eq!(short(&refused), is(false, "falco 0.44.1", &["b.yaml:1"]), "said once, of the file that it is in");
    assert!(refused.json()["findings"][0]["message"].as_str().unwrap().contains("LOAD_ERR_VALIDATE"), "{refused:?}");

    let text = host.falconer(["check", "c.yaml"]).ended_with(1);
    assert!(text.stdout.starts_with("c.yaml:1:"), "{text:?}");
    let _no_such_file = host.falconer(["check", "gone.yaml"]).ended_with(1);
    let _no_such_program = check(&host, &["a.yaml", "--falco", "gone"]).ended_with(1);
}

#[test]
fn a_repository_with_the_rules_of_its_artifacts() {
    let host = Host::new();
    let program = binary().unwrap().display().to_string();
    host.publish(RULES, "1.0.0");
    let fleet = format!("{}  - file: rules/own.yaml\n", fleet_yaml("1.0.0"));
    host.write("fleet/fleet.yaml", &fleet);
    let fleet_check = |more: &[&str]| check(&host, &[&["fleet", "--falco", &program], more].concat());
    assert_eq!(short(&fleet_check(&[]).ended_with(1)).2, ["fleet/fleet.yaml:6"], "a file that is not there");
    host.write("fleet/rules/own.yaml", RULES);
    assert_eq!(short(&fleet_check(&[]).ended_with(0)), is(true, "unvalidated", &[]), "nothing is pinned");
    let _locked = host.falconer(["lock", "fleet"]).ended_with(0);
    assert_eq!(short(&fleet_check(&[]).ended_with(0)), is(true, "falco 0.44.1", &[]));
    host.write("fleet/rules/own.yaml", TOO_NEW);
    assert_eq!(short(&fleet_check(&[]).ended_with(1)).2, ["fleet/rules/own.yaml:1"]);

    // An artifact that this Falco is too old for is named as one.
    host.write("fleet/rules/own.yaml", RULES);
    host.publish(TOO_NEW, "2.0.0");
    host.write("fleet/fleet.yaml", &fleet.replace("1.0.0", "2.0.0"));
    assert_eq!(short(&fleet_check(&[]).ended_with(1)).2, ["fleet/falconer.lock:0"], "a lockfile of other inputs");
    let _locked = host.falconer(["lock", "fleet"]).ended_with(0);
    assert_eq!(short(&fleet_check(&[]).ended_with(1)).2, ["acme-rules/rules.yaml:1"]);

    host.write("fleet/fleet.yaml", "version: 1\nunknown: 1\n");
    assert!(short(&fleet_check(&[]).ended_with(1)).2.contains(&"fleet/fleet.yaml:2".to_string()));
    let host_file = "version: 1\nrules_files:\n  - host: /etc/falco/own.yaml\n  - file: rules/own.yaml\n";
    host.write("fleet/fleet.yaml", host_file);
    std::fs::remove_file(host.path("fleet/falconer.lock")).unwrap();
    let said = host.falconer(["check", "fleet", "--falco", &program]).ended_with(0);
    assert_eq!(said.stdout, "valid: 1 rules files, unvalidated (only hosts have /etc/falco/own.yaml)\n");
    assert_eq!(json!(short(&fleet_check(&[])).0), json!(true));
}
