//! Each kind of drift by itself: reported or healed, and told from what the repository wants.

use falconer_tests::host::HostWithFalco;

use super::*;

fn kinds_of(answer: &Value, key: &str) -> Vec<String> {
    answer[key].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_kind_that_is_only_reported_stays_until_another_one_is_healed() {
    let host = placed();
    host.configure("[drift.kinds]\nmode = \"report\"\n");
    chmod(&host.live("acme-rules.yaml"), 0o666);
    for _ in 0..2 {
        let status = host.once().ended_with(2).json();
        assert_eq!((kinds_of(&status, "drift"), &status["changes"]), (vec!["mode".to_string()], &json!([])));
    }
    append(&host.live("acme-rules.yaml"));
    let status = host.once().ended_with(0).json();
    assert_eq!(kinds_of(&status, "drift"), ["modified", "mode"]);
    nothing_is_left(&host);

    // The other way round.
    host.configure("[drift]\nmode = \"report\"\n[drift.kinds]\nmissing = \"heal\"\n");
    append(&host.live("acme-rules.yaml"));
    let _left = host.once().ended_with(2);
    std::fs::remove_file(host.live("acme-rules.yaml")).unwrap();
    let _healed = host.once().ended_with(0);
    nothing_is_left(&host);
}

#[test]
fn what_the_repository_wants_is_told_from_what_the_host_did() {
    let host = placed();
    append(&host.live("acme-rules.yaml"));
    host.publish(&format!("{RULES}# 1.1.0\n"), "1.1.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let text = host.falconer(["plan"]).ended_with(2).stdout;
    let ends = |begin: &str, end: &str| text.lines().any(|line| line.starts_with(begin) && line.ends_with(end));
    assert!(ends("update", "(intended)") && ends("heal", "(corrective)"), "{text}");
    let status = host.once().ended_with(0).json();
    let causes: Vec<_> = status["changes"].as_array().unwrap().iter().map(|change| &change["cause"]).collect();
    assert_eq!(causes, ["intended", "corrective"]);
    assert_eq!(host.host_lock().corrected.len(), 1);
}

#[test]
fn words_that_are_no_kinds_are_errors_with_their_place() {
    let host = placed();
    for (more, words) in [
        ("[drift.kinds]\nmodes = \"report\"\n", "unknown variant `modes`"),
        ("[drift.kinds]\nmode = \"leave\"\n", "unknown variant `leave`"),
        ("[drift]\nkind = {}\n", "unknown field `kind`"),
        ("[drift.kinds]\nconfig = \"heal\"\n", "`falconer adopt`"),
    ] {
        host.configure(more);
        let refused = host.falconer(["once"]).ended_with(1);
        assert!(refused.stderr.contains(words) && refused.stderr.contains("agent.toml"), "{}", refused.stderr);
    }
}

/// Every way in which falco.yaml can stop to lead to us; nothing of it is edited.
#[test]
fn an_include_that_no_longer_counts() {
    let host = placed();
    let adopted = host.read("etc/falco.yaml");
    let entry = |path: &str, strategy: &str| format!("  - path: {path}\n    strategy: {strategy}\n");
    let ours = host.path("state/current/falconer.yaml");
    let ours = ours.to_str().unwrap();
    let listed =
        |entries: &[String]| FALCO_YAML.replacen("config_files:\n", &format!("config_files:\n{}", entries.concat()), 1);
    let elsewhere = entry("/etc/falcon/falconer.yaml", "override");
    let yaml = [
        (FALCO_YAML.to_string(), "not included"),
        (listed(&[elsewhere]), "not included"),
        (listed(&[entry(ours, "override")]), "something is included after it"),
        (adopted.replace("strategy: override", "strategy: append"), "does not override"),
    ];
    for (text, words) in yaml {
        host.write("etc/falco.yaml", &text);
        let status = host.once().ended_with(2).json();
        assert_eq!((kinds_of(&status, "drift"), &status["changes"]), (vec!["config".to_string()], &json!([])));
        assert!(status["drift"][0]["observed"].as_str().unwrap().contains(words), "{status:#}");
        assert!(status["next"]["hint"].as_str().unwrap().contains("falconer adopt"), "{status:#}");
        assert_eq!(host.read("etc/falco.yaml"), text);
        let _adopted = host.falconer(["adopt"]).ended_with(0);
        nothing_is_left(&host);
    }
    host.write("etc/falco.yaml", &adopted);
    nothing_is_left(&host);
}

/// On disk all is well, and Falco has loaded something else: one reload, or none where that is only to be said.
#[test]
fn what_falco_has_not_loaded() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    let adopted = host.read("etc/falco.yaml");
    host.write("etc/falco.yaml", adopted.split("config_files:").next().unwrap());
    host.start_falco(&[]);
    host.write("etc/falco.yaml", &adopted);
    let agent = host.read("agent.toml");
    host.write("agent.toml", &format!("{agent}[drift.kinds]\nnot-loaded = \"report\"\n"));
    for _ in 0..2 {
        let status = host.once().ended_with(2).json();
        assert!(kinds_of(&status, "drift").iter().all(|kind| kind == "not-loaded"), "{status:#}");
        assert_eq!((&status["changes"], host.sighups()), (&json!([]), 0));
    }
    host.write("agent.toml", &agent);
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["condition"], &status["evidence"]), (&json!("InSync"), &json!("sha256")));
    assert_eq!(
        (&status["changes"][0]["kind"], &status["changes"][0]["cause"]),
        (&json!("reload"), &json!("corrective"))
    );
    nothing_is_left(&host);
    assert_eq!(host.sighups(), 1);
}
