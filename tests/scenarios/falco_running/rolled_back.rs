//! A Falco that does not take a generation up, or does not survive it: the good one comes back in the same pass.

use std::time::Duration;

use super::*;

/// The rules that are live.
fn live(host: &HostWithFalco) -> String {
    host.read("state/current/rules/10-own.yaml")
}

/// Commits rules that the pass has to take back; gives the commit.
#[track_caller]
fn is_rolled_back(host: &HostWithFalco, evidence: &str) -> String {
    let commit = commit_rules(host, &rules("two"));
    let status = host.once().ended_with(1);
    assert_eq!(short(&status), is("RolledBack", 1, evidence), "{status:?}");
    let status = status.json();
    assert_eq!(status["wanted"], json!(commit));
    assert_ne!(status["revision"], json!(commit));
    let kinds: Vec<_> = status["changes"].as_array().unwrap().iter().map(|change| &change["kind"]).collect();
    assert_eq!(kinds, ["update", "restore"]);
    assert_eq!(live(host), rules("one"));
    let plan = host.plan().ended_with(1).json();
    assert_eq!((&plan["held"]["revision"], &plan["steps"]), (&json!(commit), &json!([])));
    commit
}

#[test]
fn a_falco_that_dies_of_the_reload() {
    for metrics in [true, false] {
        let mut host = with_faults(metrics, &[Fault::DieAtReload]);
        let _commit = is_rolled_back(&host, "none");
        assert_eq!(host.sighups(), 1);
        let _settles = host.once().ended_with(1);
        nothing_more_is_done(&host, 1);

        // Whatever starts Falco again starts it with the good generation.
        host.start_falco(&[]);
        if metrics {
            assert!(has_loaded(&mut host, "10-own.yaml", &rules("one")));
        }
        let _evidence_is_better_now = host.once().ended_with(1);
        nothing_more_is_done(&host, 1);
        let _commit = commit_rules(&host, &rules("three"));
        let fixed = host.once().ended_with(0);
        assert_eq!(short(&fixed), is("InSync", 3, if metrics { "sha256" } else { "restarted" }));
        assert_eq!((live(&host), host.sighups()), (rules("three"), 1));
    }
}

#[test]
fn a_falco_that_dies_while_it_settles() {
    let host = with_faults(true, &[Fault::CrashAfterReload(Duration::from_millis(60))]);
    let _commit = is_rolled_back(&host, "none");
    assert_eq!(host.sighups(), 1);
}

#[test]
fn a_falco_that_ignores_the_signal_is_asked_once_and_keeps_the_good_generation() {
    let mut host = with_faults(true, &[Fault::IgnoreSighup]);
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 1, "sha256"));
    let _commit = is_rolled_back(&host, "sha256");
    assert_eq!(host.sighups(), 1, "it has the good one still: there is nothing to ask for");
    let _settles = host.once().ended_with(1);
    nothing_more_is_done(&host, 1);

    host.start_falco(&[]);
    let _another_process = nothing_more_is_done(&host, 1);
    let _commit = commit_rules(&host, &rules("three"));
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 3, "sha256"));
}

#[test]
fn a_falco_that_is_slow_is_not_signalled_while_that_would_end_it() {
    let mut host = with_faults(true, &[Fault::SlowReload(Duration::from_millis(2500))]);
    let commit = commit_rules(&host, &rules("two"));
    // The first reload takes longer than it may; its end is waited for before the second.
    let status = host.once().ended_with(1);
    assert_eq!(status.json()["wanted"], json!(commit));
    assert_eq!((live(&host), host.sighups()), (rules("one"), 2));
    host.falco().wait_ready().unwrap();
    assert!(has_loaded(&mut host, "10-own.yaml", &rules("one")));
    let settled = host.once().ended_with(1);
    assert_eq!(short(&settled), is("RolledBack", 1, "sha256"));
    nothing_more_is_done(&host, 1);
}

#[test]
fn healing_holds_nothing_when_falco_does_not_listen() {
    let mut host = with_faults(true, &[Fault::IgnoreSighup]);
    std::fs::write(host.live("own.yaml"), "").unwrap();
    let status = host.once().ended_with(1);
    assert_eq!(short(&status), is("Failed", 2, "none"), "on disk it is healed, in Falco not");
    assert_eq!((live(&host), host.sighups()), (rules("one"), 1));
    assert_eq!(status.json()["next"]["who"], json!("operator"));
    let status = host.once().ended_with(1).json();
    assert_eq!(status["drift"][0]["kind"], json!("not-loaded"), "{status:#}");
    assert!(status["reason"].as_str().unwrap().starts_with("falco_unhealthy: generation 2"), "{status:#}");
    nothing_more_is_done(&host, 1);

    host.start_falco(&[]);
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, "sha256"));
    assert_eq!(host.sighups(), 0, "it has started with it");
}

#[test]
fn a_first_generation_that_is_not_taken_up_is_good_once_falco_has_it() {
    let mut host = HostWithFalco::start(true, &[Fault::IgnoreSighup]);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let status = host.once().ended_with(1);
    assert_eq!(short(&status), is("Failed", 1, "none"));
    let _settles = host.once().ended_with(1);
    nothing_more_is_done(&host, 1);
    assert_eq!(host.sighups(), 1);

    // It is kept whole, though nothing is tried again and there is nothing to go back to.
    let live = host.live("acme-rules.yaml");
    std::fs::remove_file(&live).unwrap();
    let _healed = host.once().ended_with(1);
    assert_eq!((std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), host.sighups()), (RULES.into(), 2));
    let _settles = host.once().ended_with(1);
    nothing_more_is_done(&host, 1);

    host.start_falco(&[]);
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, "sha256"));
    assert_eq!(host.sighups(), 0);
    nothing_more_is_done(&host, 0);
}
