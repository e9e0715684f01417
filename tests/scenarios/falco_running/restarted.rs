//! A Falco for which a reload does not do: it is restarted where its operator allows it, and else it is said.

use super::*;

/// With this 0.44.1 takes SIGHUP and does nothing.
const NO_WATCH: [&str; 2] = ["-o", "watch_config_files=false"];

/// The words of the steps that ask Falco.
fn asks(host: &HostWithFalco) -> Vec<String> {
    let plan = host.plan();
    let steps = plan.json()["steps"].as_array().unwrap().clone();
    let names = steps.iter().map(|step| step["step"].as_str().unwrap().to_string());
    names.filter(|name| name == "reload" || name == "restart").collect()
}

/// Whether the Falco that was restarted has loaded `rules` for `10-own.yaml`.
fn has(host: &mut HostWithFalco, rules: &str) -> bool {
    has_loaded(host, "10-own.yaml", rules)
}

#[test]
fn a_falco_that_takes_sighup_for_nothing_is_restarted_once_for_every_change() {
    for metrics in [true, false] {
        let mut host = with_faults(metrics, &[]);
        host.start_falco_with(&[], &NO_WATCH);
        let _commit = commit_rules(&host, &rules("two"));
        assert_eq!(asks(&host), Vec::<String>::new(), "nobody may restart it");
        let said = host.once().ended_with(2);
        assert_eq!(short(&said), is("Drifted", 2, "none"), "{said:?}");
        let status = said.json();
        assert!(status["reason"].as_str().unwrap().starts_with("Falco goes on without generation 2"), "{status:#}");
        assert_eq!(status["next"]["who"], json!("operator"));
        nothing_more_is_done(&host, 2);

        host.supervise(&[]);
        assert_eq!(asks(&host), ["restart"]);
        let evidence = if metrics { "sha256" } else { "restarted" };
        assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, evidence));
        nothing_more_is_done(&host, 0);
        let _commit = commit_rules(&host, &rules("three"));
        assert_eq!(short(&host.once().ended_with(0)), is("InSync", 3, evidence));
        assert_eq!((host.restarts(), host.sighups()), (2, 0));
        assert!(!metrics || has(&mut host, &rules("three")));
    }
}

#[test]
fn restarting_can_be_forbidden() {
    let mut host = with_faults(true, &[]);
    host.start_falco_with(&[], &NO_WATCH);
    host.supervise(&[]);
    let allowed = host.read("agent.toml");
    host.write("agent.toml", &allowed.replace("[falco]\n", "[falco]\nrestart = \"never\"\n"));
    let _commit = commit_rules(&host, &rules("two"));
    assert_eq!(short(&host.once().ended_with(2)), is("Drifted", 2, "none"));
    // Somebody restarts Falco by hand: it has started with what was live.
    host.start_falco_with(&[], &NO_WATCH);
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, "sha256"));
    assert_eq!(host.restarts(), 0);
}

#[test]
fn a_restart_that_falco_does_not_survive_is_not_repeated() {
    let mut host = with_faults(true, &[]);
    host.start_falco_with(&[], &NO_WATCH);
    // It starts with an option that it does not know: it ends at once, whatever is live.
    host.supervise(&["--no-such-option"]);
    let text = host.read("agent.toml");
    host.write("agent.toml", &text.replace("[falco]\n", "[falco]\nvalidate = \"never\"\n"));
    let commit = commit_rules(&host, &rules("two"));
    let status = host.once().ended_with(1).json();
    assert_eq!((&status["condition"], &status["wanted"]), (&json!("RolledBack"), &json!(commit)));
    assert_eq!((host.read("state/current/rules/10-own.yaml"), host.restarts()), (rules("one"), 1));
    let _settles = host.once().ended_with(1);
    nothing_more_is_done(&host, 1);
    assert_eq!(host.restarts(), 1, "Falco does not run, and what is on disk is good");
}

#[test]
fn a_restart_that_is_refused_is_told_and_leaves_falco_alone() {
    let mut host = with_faults(true, &[]);
    host.start_falco_with(&[], &NO_WATCH);
    host.supervise(&[]);
    host.write("restart-falco", "#!/bin/sh\necho 'Access denied' >&2\nexit 4\n");
    let _commit = commit_rules(&host, &rules("two"));
    let status = host.once().ended_with(1).json();
    assert!(status["reason"].as_str().unwrap().contains("Access denied"), "{status:#}");
    assert_eq!(status["next"]["who"], json!("operator"));
    assert!(has(&mut host, &rules("one")), "it runs as it did");
    host.supervise(&[]);
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, "sha256"));
}

#[test]
fn a_deaf_falco_is_restarted_when_the_good_generation_was_healed() {
    let mut host = with_faults(true, &[Fault::IgnoreSighup]);
    host.supervise(&[]);
    std::fs::write(host.live("own.yaml"), "").unwrap();
    assert_eq!(short(&host.once().ended_with(1)), is("Failed", 2, "none"));
    assert_eq!(asks(&host), ["restart"], "it was asked to reload and did not");
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, "sha256"));
    assert_eq!((host.sighups(), host.restarts()), (1, 1));
    nothing_more_is_done(&host, 0);
}
