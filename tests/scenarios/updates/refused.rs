//! Commits that cannot be had: said with their place, and the old generation stays.

use super::*;

/// The pass refuses the commit, the generations stay as they are, and this is said.
#[track_caller]
fn refuses(host: &Host, words: &[&str]) -> Value {
    let live = host.path("state/generations").exists().then(|| host.snapshot("state/generations"));
    let ended = host.once().ended_with(1);
    let status = ended.json();
    assert_eq!(status["condition"], json!("Failed"));
    let said = format!("{}\n{}", status["reason"].as_str().unwrap(), ended.stderr);
    for word in words {
        assert!(status["reason"].as_str().unwrap().contains(word), "{word}: {said}");
    }
    if let Some(live) = live {
        assert_eq!(live.differences(&host.snapshot("state/generations")), Vec::<&std::path::Path>::new());
    }
    status
}

#[test]
fn a_key_that_this_host_does_not_let_git_set() {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    let config = "config:\n  priority: warning\n  program_output: {enabled: true, program: sh}\n";
    let _commit = host.commit(&[("fleet.yaml", &fleet("1.0.0", &["artifact: acme-rules"], config))]);
    let status = refuses(&host, &["fleet.yaml:8:3", "`program_output`", "policy.toml"]);
    assert_eq!(status["error"]["remedy"], json!("author"));
    assert!(!host.read("state/current/falconer.yaml").contains("priority"), "all or nothing");

    host.write("policy.toml", "config_keys = [\"priority\", \"program_output\"]\n");
    let _status = host.once().ended_with(0);
    assert!(host.read("state/current/falconer.yaml").contains("program_output:\n"));

    host.write("policy.toml", "config_keys = []\n");
    let status = refuses(&host, &["fleet.yaml:7:3", "`priority`", "fleet.yaml:8:3", "`program_output`"]);
    assert_eq!(status["generation"], json!(2));
}

#[test]
fn every_mistake_in_fleet_yaml_is_said_with_its_place() {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    let broken = "version: 1\nartefacts: {}\nartifacts:\n  acme-rules: {ref: \"oci:artifacts\", version: []}\n  \
                  Bad Name: 1\nrules_files:\n  - artifact: nobody\n  - file: ../up.yaml\n  - host: etc/relative.yaml\n";
    let _commit = host.commit(&[("fleet.yaml", broken)]);
    let places =
        ["fleet.yaml:2:1", "fleet.yaml:4:", "fleet.yaml:5:3", "fleet.yaml:7:", "fleet.yaml:8:", "fleet.yaml:9:"];
    let status = refuses(&host, &places);
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.matches("hint:").count() >= places.len(), "{reason}");
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES);
    let plan = host.plan().ended_with(1).json();
    assert!(plan["error"]["message"].as_str().unwrap().contains("fleet.yaml:2:1"), "{plan:#}");

    let locked = host.falconer(["lock", "fleet"]).ended_with(1);
    assert!(places.iter().all(|place| locked.stderr.contains(place)), "{}", locked.stderr);
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.0.0"))]);
    let _status = host.once().ended_with(0);
}

#[test]
fn a_repository_without_fleet_yaml_or_with_a_missing_file() {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    std::fs::remove_file(host.path("fleet/fleet.yaml")).unwrap();
    let _commit = host.commit(&[("README.md", "words\n")]);
    let _status = refuses(&host, &["fleet.yaml"]);
    let _commit = host.commit(&[("fleet.yaml", &fleet("1.0.0", &["artifact: acme-rules", "file: rules/no.yaml"], ""))]);
    let _status = refuses(&host, &["fleet.yaml:6:", "rules/no.yaml"]);
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("9.9.9"))]);
    let _status = refuses(&host, &["9.9.9"]);
}

#[test]
fn broken_rules_never_become_live_and_a_fix_does() {
    let host = Host::adopted();
    let both = ["artifact: acme-rules", "file: rules/own.yaml"];
    let _commit = host.commit(&[("fleet.yaml", &fleet("1.0.0", &both, "")), ("rules/own.yaml", OWN)]);
    let good = host.once().ended_with(0).json();
    let live = host.path("state/current").canonicalize().unwrap();

    let broken = host.commit(&[("rules/own.yaml", "- rule: half a rule\n  desc: no condition\n")]);
    let plan = host.plan().ended_with(2).json();
    assert_eq!(plan["changes"][0]["kind"], json!("update"));
    let refused = host.once().ended_with(1).json();
    assert_eq!((&refused["condition"], &refused["generation"]), (&json!("Failed"), &good["generation"]));
    assert_eq!((&refused["revision"], &refused["wanted"]), (&good["revision"], &json!(broken)));
    assert_eq!(refused["next"]["who"], json!("author"));
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("refused") && reason.contains("rules/own.yaml"), "{reason}");
    assert_eq!(host.path("state/current").canonicalize().unwrap(), live);
    assert_eq!(host.read("state/current/rules/20-own.yaml"), OWN);

    let held = host.once().ended_with(1).json();
    assert!(held["reason"].as_str().unwrap().contains("held"), "{held:#}");
    let before = host.snapshot("state");
    let _held = host.once().ended_with(1);
    let _held = host.plan().ended_with(1);
    let _held = host.status().ended_with(1);
    assert_eq!(before.differences(&host.snapshot("state")), Vec::<&std::path::Path>::new(), "not tried again");
    std::fs::write(host.live("own.yaml"), "").unwrap();
    let healed = host.once().ended_with(1).json();
    assert_eq!(healed["changes"][0]["kind"], json!("heal"), "the good one is kept up meanwhile: {healed:#}");
    assert_eq!(host.read("state/current/rules/20-own.yaml"), OWN);

    let fixed = host.commit(&[("rules/own.yaml", &format!("{OWN}# fixed\n"))]);
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["condition"], &status["revision"]), (&json!("InSync"), &json!(fixed)));
    assert!(host.read("state/current/rules/20-own.yaml").ends_with("# fixed\n"));
}

#[test]
fn the_first_commit_may_be_broken_too() {
    let host = Host::new();
    let _commit = host.commit(&[
        ("fleet.yaml", "version: 1\nrules_files:\n  - file: rules/own.yaml\n"),
        ("rules/own.yaml", "- rule: half a rule\n"),
    ]);
    for _pass in 0..2 {
        let status = host.once().ended_with(1).json();
        assert_eq!((&status["condition"], &status["generation"]), (&json!("Failed"), &Value::Null));
        assert!(!host.path("state/current").exists());
    }
    let _commit = host.commit(&[("rules/own.yaml", OWN)]);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"));
}
