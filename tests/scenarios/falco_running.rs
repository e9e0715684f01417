//! A Falco runs on the host: it takes up what becomes live, one signal for one change, and proves it.

mod disturbed;
mod ended;
mod restarted;
mod rolled_back;
mod tampered;
mod unhealthy;

use std::path::Path;

use falconer_manifests::digest::Digest;
use falconer_tests::falco_stand_in::Fault;
use falconer_tests::host::{HostWithFalco, RULES, Run, fleet_yaml};
use serde_json::{Value, json};

/// A fleet.yaml whose rules are those of the file `rules/own.yaml`, then `more`.
fn own(more: &str) -> String {
    format!("version: 1\nrules_files:\n  - file: rules/own.yaml\n{more}")
}

/// Rules that Falco takes, told apart by `mark`.
fn rules(mark: &str) -> String {
    format!("{RULES}# {mark}\n")
}

/// Commits `rules` as the host's only rules file.
fn commit_rules(host: &HostWithFalco, rules: &str) -> String {
    host.commit(&[("fleet.yaml", &own("")), ("rules/own.yaml", rules)])
}

/// A host whose Falco has loaded `rules("one")`, started with these faults afterwards.
fn with_faults(metrics: bool, faults: &[Fault]) -> HostWithFalco {
    let mut host = HostWithFalco::start(metrics, &[]);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let _commit = commit_rules(&host, &rules("one"));
    let _status = host.once().ended_with(0);
    host.start_falco(faults);
    host
}

/// What a pass says in short: condition, generation, evidence.
fn short(run: &Run) -> (String, Value, String) {
    let status = run.json();
    let text = |key: &str| status[key].as_str().unwrap().to_string();
    (text("condition"), status["generation"].clone(), text("evidence"))
}

fn is(condition: &str, generation: u64, evidence: &str) -> (String, Value, String) {
    (condition.to_string(), json!(generation), evidence.to_string())
}

/// The next pass ends with `code` and writes nothing: no generation, no dry run, no signal.
#[track_caller]
fn nothing_more_is_done(host: &HostWithFalco, code: i32) -> Value {
    let (state, sighups) = (host.snapshot("state"), host.sighups());
    let status = host.once().ended_with(code).json();
    assert_eq!(state.differences(&host.snapshot("state")), Vec::<&Path>::new());
    assert_eq!(host.sighups(), sighups);
    status
}

/// Whether Falco names the digest of `rules` for the file `name`.
fn has_loaded(host: &mut HostWithFalco, name: &str, rules: &str) -> bool {
    let metrics = host.falco().page("/metrics").unwrap();
    metrics.contains(&format!("file_name=\"{name}\",sha256=\"{}\"", Digest::of(rules.as_bytes()).hex()))
}

#[test]
fn a_falco_that_ran_before_takes_the_first_generation_up_and_proves_every_change() {
    let mut host = HostWithFalco::start(true, &[]);
    let status = host.once().ended_with(2).json();
    assert_eq!((&status["condition"], &status["evidence"]), (&json!("Drifted"), &json!("none")), "nobody has adopted");
    assert_eq!(host.sighups(), 0, "a Falco that does not include us has nothing to load");
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let plan = host.plan().ended_with(2).json();
    let steps: Vec<_> = plan["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(steps, ["reload", "confirm"]);
    let first = host.once().ended_with(0);
    assert_eq!(short(&first), is("InSync", 1, "sha256"), "{first:?}");
    assert_eq!((&first.json()["falco"], &first.json()["validation"]), (&json!("0.44.1"), &json!("dry-run")));
    assert!(has_loaded(&mut host, "10-acme-rules.yaml", RULES));
    assert_eq!(host.sighups(), 1);
    nothing_more_is_done(&host, 0);

    host.publish(&rules("1.1.0"), "1.1.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, "sha256"));
    assert!(has_loaded(&mut host, "10-acme-rules.yaml", &rules("1.1.0")));
    assert_eq!(host.sighups(), 2);

    let _commit = host.commit(&[("README.md", "words\n")]);
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, "sha256"));
    assert_eq!(host.sighups(), 2, "nothing that Falco loads has changed");

    let _commit = host.commit(&[("fleet.yaml", &format!("{}config: {{priority: warning}}\n", fleet_yaml("1.1.0")))]);
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 3, "sha256"));
    let include = host.read("state/current/falconer.yaml");
    assert!(include.contains("priority") && has_loaded(&mut host, "falconer.yaml", &include));
    assert_eq!(host.sighups(), 3);
    nothing_more_is_done(&host, 0);
}

#[test]
fn adopted_before_the_first_pass_and_with_a_wait_for_a_start() {
    let mut host = HostWithFalco::start(true, &[]);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    host.start_falco(&[]);
    let changed = host.once().ended_with(0);
    assert_eq!(short(&changed), is("InSync", 1, "sha256"));
    assert_eq!(changed.json()["changes"][0]["kind"], json!("add"));
    assert_eq!(host.sighups(), 1);
}

#[test]
fn without_metrics_the_evidence_is_that_falco_was_seen_to_restart() {
    let host = HostWithFalco::in_sync(false, &[]);
    assert_eq!(short(&host.status().ended_with(0)), is("InSync", 1, "restarted"));
    nothing_more_is_done(&host, 0);
    let _commit = commit_rules(&host, &rules("two"));
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, "restarted"));
    assert_eq!(host.sighups(), 2);
}

#[test]
fn a_tampered_file_is_healed_and_falco_loads_the_healed_one() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    std::fs::write(host.live("acme-rules.yaml"), "- list: evil\n  items: []\n").unwrap();
    let healed = host.once().ended_with(0);
    assert_eq!(short(&healed), is("InSync", 2, "sha256"));
    assert_eq!(healed.json()["drift"][0]["kind"], json!("modified"));
    assert_eq!(host.sighups(), 2);
    assert!(has_loaded(&mut host, "10-acme-rules.yaml", RULES));

    // Falco was started again, or told to load, between the tampering and the pass.
    std::fs::write(host.live("acme-rules.yaml"), "- list: evil\n  items: []\n").unwrap();
    host.start_falco(&[]);
    assert!(!has_loaded(&mut host, "10-acme-rules.yaml", RULES));
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 3, "sha256"));
    assert!(has_loaded(&mut host, "10-acme-rules.yaml", RULES));
    assert_eq!(host.sighups(), 1);
    nothing_more_is_done(&host, 0);
}

#[test]
fn a_pointer_that_comes_back_to_what_falco_has_needs_no_reload() {
    let host = HostWithFalco::in_sync(true, &[]);
    std::fs::remove_file(host.path("state/current")).unwrap();
    let healed = host.once().ended_with(0);
    assert_eq!(short(&healed), is("InSync", 1, "sha256"));
    assert_eq!(healed.json()["changes"][0]["kind"], json!("heal"));
    assert_eq!(host.sighups(), 1, "the one of the first pass");
}

#[test]
fn the_evidence_is_what_falco_says_now() {
    let mut host = HostWithFalco::start(true, &[]);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    host.stop_falco();
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 1, "none"), "none runs");
    host.start_falco(&[]);
    let status = host.once().ended_with(0);
    assert_eq!(short(&status), is("InSync", 1, "sha256"), "it has started with what was live");
    assert_eq!((&status.json()["reason"], host.sighups()), (&json!(""), 0));
    nothing_more_is_done(&host, 0);
    host.stop_falco();
    assert_eq!(short(&host.status().ended_with(0)), is("InSync", 1, "none"));
}

#[test]
fn a_falco_that_does_not_tell_what_it_has_loaded_is_said_to_be_one() {
    let mut host = HostWithFalco::start(true, &[]);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    host.stop_falco();
    let _placed = host.once().ended_with(0);
    host.start_falco(&[Fault::MetricsOff]);
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["condition"], &status["evidence"]), (&json!("InSync"), &json!("none")));
    assert!(status["next"]["hint"].as_str().unwrap().contains("metrics"), "{status:#}");
}

#[test]
fn settings_alone_are_proven_too() {
    let mut host = HostWithFalco::start(true, &[]);
    let entry = format!("host: {}", host.path("etc/own_rules.yaml").display());
    let fleet = format!("version: 1\nrules_files:\n  - {entry}\nconfig: {{priority: warning}}\n");
    let _commit = host.commit(&[("fleet.yaml", &fleet)]);
    let _unadopted = host.once().ended_with(2);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let status = host.once().ended_with(0);
    assert_eq!(short(&status), is("InSync", 1, "sha256"));
    assert_eq!(status.json()["drift"][0]["kind"], json!("not-loaded"), "found and put right");
    let include = host.read("state/current/falconer.yaml");
    assert!(has_loaded(&mut host, "falconer.yaml", &include));
    assert_eq!(host.sighups(), 1);
}

#[test]
fn rules_that_falco_refuses_never_become_live_and_are_not_tried_twice() {
    let mut host = with_faults(true, &[]);
    // Well-formed to us; only Falco knows that it is too old for them.
    let broken = "- required_engine_version: 0.99.0\n".to_string() + &rules("two");
    let commit = commit_rules(&host, &broken);
    let refused = host.once().ended_with(1);
    assert_eq!(short(&refused), is("Failed", 1, "sha256"));
    let status = refused.json();
    assert_eq!((&status["wanted"], &status["next"]["who"]), (&json!(commit), &json!("author")));
    let reason = status["reason"].as_str().unwrap();
    for words in ["refused", "rules/own.yaml", "0.99.0"] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    assert_eq!(host.read("state/current/rules/10-own.yaml"), rules("one"));
    let _held = host.once().ended_with(1);
    let held = nothing_more_is_done(&host, 1);
    assert!(held["reason"].as_str().unwrap().contains("held"), "{held:#}");
    assert_eq!(host.plan().ended_with(1).json()["held"]["revision"], json!(commit));

    let generations = host.snapshot("state/generations");
    let _commit = host.commit(&[("README.md", "words\n")]);
    let _held = host.once().ended_with(1);
    assert_eq!(generations.differences(&host.snapshot("state/generations")), Vec::<&Path>::new(), "the same content");

    let _commit = commit_rules(&host, &rules("three"));
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["condition"], &status["evidence"]), (&json!("InSync"), &json!("sha256")));
    assert!(has_loaded(&mut host, "10-own.yaml", &rules("three")));
    assert_eq!(host.sighups(), 1);
}
