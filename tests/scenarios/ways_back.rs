//! Ways back: what there was, how it differs, and going there.

mod newer;

use std::path::Path;
use std::time::Duration;

use falconer_tests::falco_stand_in::Fault;
use falconer_tests::host::{Daemon, Host, HostWithFalco, RULES, fleet_yaml};
use serde_json::{Value, json};

fn rules(mark: &str) -> String {
    format!("{RULES}# {mark}\n")
}

/// Publishes and commits a version.
fn release(host: &Host, version: &str) -> String {
    host.publish(&rules(version), version);
    host.commit(&[("fleet.yaml", &fleet_yaml(version))])
}

fn live(host: &Host) -> String {
    std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap()
}

/// A host whose generation 1 has version 1.0.0 and whose generation 2 is live with 1.1.0.
fn updated() -> Host {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    let _commit = release(&host, "1.1.0");
    let _second = host.once().ended_with(0);
    host
}

fn rollback(host: &Host, more: &[&str]) -> falconer_tests::host::Run {
    host.falconer(["rollback", "--output", "json"].iter().chain(more))
}

/// What is said of each generation: its number, and what it is now.
fn states(host: &Host) -> Vec<(u64, String)> {
    let history = host.falconer(["history", "--output", "json"]).ended_with(0).json();
    let words = |generation: &Value| {
        let words: Vec<_> = generation["state"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        (generation["generation"].as_u64().unwrap(), words.join(" "))
    };
    history["generations"].as_array().unwrap().iter().map(words).collect()
}

fn is(states: &[(u64, &str)]) -> Vec<(u64, String)> {
    states.iter().map(|(number, words)| (*number, (*words).to_string())).collect()
}

/// The next pass does nothing, writes nothing, and says that somebody has gone back.
#[track_caller]
fn stays_back(host: &Host) {
    let _settles = host.once().ended_with(1);
    let before = host.snapshot("state");
    let status = host.once().ended_with(1).json();
    assert_eq!((&status["condition"], &status["changes"]), (&json!("RolledBack"), &json!([])));
    assert_eq!(before.differences(&host.snapshot("state")), Vec::<&Path>::new());
}

#[test]
fn there_and_back_again() {
    let host = updated();
    assert_eq!(states(&host), is(&[(2, "live good"), (1, "")]));
    let table = host.falconer(["history"]).ended_with(0).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("GENERATION  STATE       REVISION"), "{table}");
    assert!(lines[1].starts_with("2           live, good") && lines[1].ends_with("acme-rules 1.1.0"), "{table}");

    let back = host.falconer(["diff", "1"]).ended_with(2).stdout;
    for line in ["--- generation 2/acme-rules/rules.yaml", "+++ generation 1/acme-rules/rules.yaml", "-# 1.1.0"] {
        assert!(back.lines().any(|seen| seen == line), "{line} in {back}");
    }
    assert!(!back.contains('\u{1b}'), "no colours but on a terminal: {back}");
    assert_eq!(host.falconer(["diff", "2"]).ended_with(0).stdout, "no difference\n");
    assert_eq!(host.falconer(["diff"]).ended_with(0).stdout, "no difference\n");

    let status = rollback(&host, &[]).ended_with(0).json();
    assert_eq!((&status["condition"], &status["generation"]), (&json!("RolledBack"), &json!(1)));
    assert_eq!(
        (&status["changes"][0]["kind"], &status["changes"][0]["cause"]),
        (&json!("restore"), &json!("restoring"))
    );
    assert!(status["reason"].as_str().unwrap().contains("rolled back by hand from generation 2 to 1"), "{status}");
    assert_eq!(live(&host), RULES);
    stays_back(&host);
    assert_eq!(states(&host), is(&[(2, "held"), (1, "live good")]));
    assert_eq!(host.status().ended_with(1).json()["condition"], json!("RolledBack"));
    let forth = host.falconer(["diff", "--output", "json"]).ended_with(2).json();
    assert_eq!((&forth["from"], &forth["files"][0]["name"]), (&json!(1), &json!("acme-rules/rules.yaml")));

    // Drift is healed where one has gone, too; and what the repository says besides changes nothing.
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    let _commit = host.commit(&[("README", "words")]);
    let _healed = host.once().ended_with(1);
    assert_eq!(live(&host), RULES);
    stays_back(&host);

    let undone = host.falconer(["rollback", "--undo"]).ended_with(0).stdout;
    assert!(undone.contains("no longer: revision"), "{undone}");
    assert!(host.falconer(["rollback", "--undo"]).ended_with(0).stdout.contains("nothing was rolled back"));
    assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"));
    assert_eq!(live(&host), rules("1.1.0"));
}

#[test]
fn the_next_change_of_the_desired_state_is_taken() {
    let host = updated();
    let _back = rollback(&host, &["1"]).ended_with(0);
    let commit = release(&host, "1.2.0");
    let diff = host.falconer(["diff"]).ended_with(2).stdout;
    assert!(diff.contains("+# 1.2.0") && diff.contains("+++ desired/acme-rules/rules.yaml"), "{diff}");
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["condition"], &status["revision"]), (&json!("InSync"), &json!(commit)));
    // By number, and further: both keep the same content away, until one goes to just that.
    for (number, code, condition) in [("2", 1, "RolledBack"), ("1", 1, "RolledBack"), ("3", 0, "InSync")] {
        let _gone = rollback(&host, &[number]).ended_with(0);
        let status = host.once().ended_with(code).json();
        assert_eq!((&status["condition"], status["generation"].to_string().as_str()), (&json!(condition), number));
    }
    // The wish has ended with it: what was kept away may come again.
    let _back = rollback(&host, &["1"]).ended_with(0);
    let _commit = release(&host, "1.3.0");
    let _taken = host.once().ended_with(0);
    let _commit = release(&host, "1.2.0");
    assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"));
    assert_eq!(live(&host), rules("1.2.0"));
}

#[test]
fn what_cannot_be_gone_back_to_is_refused_and_nothing_changes() {
    let fresh = Host::adopted();
    assert!(rollback(&fresh, &[]).ended_with(1).stderr.contains("nothing is live"));
    assert!(fresh.falconer(["history"]).ended_with(0).stdout.contains("no generation"));
    let _first = fresh.once().ended_with(0);
    assert!(rollback(&fresh, &[]).ended_with(1).stderr.contains("no generation before 1"));

    let host = updated();
    let unchanged = |arguments: &[&str], words: &str| {
        let (current, ledger) = (host.snapshot_of_current(), host.read("state/ledger"));
        let refused = rollback(&host, arguments).ended_with(1);
        assert!(refused.stderr.contains(words) && refused.stderr.contains("falconer history"), "{}", refused.stderr);
        assert_eq!((current, ledger), (host.snapshot_of_current(), host.read("state/ledger")));
    };
    unchanged(&["99"], "there is no generation 99");
    assert!(host.falconer(["diff", "99"]).ended_with(1).stderr.contains("there is no generation 99"));
    let rules_file = host.path("state/generations/1/rules/10-acme-rules.yaml");
    std::fs::write(&rules_file, "").unwrap();
    unchanged(&[], "generation 1 is not complete");
    std::fs::remove_file(host.path("state/generations/1/MANIFEST")).unwrap();
    unchanged(&["1"], "generation 1 is not complete");
    assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"));
}

#[test]
fn a_pass_that_is_under_way_is_waited_for() {
    let host = updated();
    let lock = std::fs::File::open(host.path("state/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let busy = rollback(&host, &["--wait", "0s"]).ended_with(75);
    assert!(busy.stderr.contains("another falconer is at work"), "{}", busy.stderr);
    let mut waiting = host.command();
    let mut waiting = waiting.args(["rollback", "1"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(8);
    let opened = |pid: u32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|path| path == host.path("state/lock")))
    };
    while !opened(waiting.id()) && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(waiting.try_wait().unwrap(), None);
    drop(lock);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(live(&host), RULES);
}

#[test]
fn while_a_daemon_runs() {
    let host = updated();
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(Duration::from_secs(20), |daemon| daemon.passes() > 0);
    let _back = rollback(&host, &[]).ended_with(0);
    // It sees `current` change, looks, and leaves it there.
    daemon.wait_for(Duration::from_secs(20), |daemon| daemon.log().contains("RolledBack"));
    assert_eq!(live(&host), RULES);
    assert!(daemon.stop(Duration::from_secs(5)).success());
}

#[test]
fn a_falco_is_asked_once_and_one_that_does_not_follow_gets_back_what_it_had() {
    for fault in [None, Some(Fault::IgnoreSighup)] {
        let mut host = HostWithFalco::in_sync(true, &[]);
        let _commit = release(&host, "1.1.0");
        let _second = host.once().ended_with(0);
        host.start_falco(fault.as_slice());
        let _settled = host.once().ended_with(0);
        let before = host.sighups();
        let ended = rollback(&host, &[]);
        match fault {
            None => {
                let status = ended.ended_with(0).json();
                assert_eq!((&status["evidence"], &status["validation"]), (&json!("sha256"), &json!("dry-run")));
                assert_eq!((live(&host).as_str(), host.sighups() - before), (RULES, 1));
                stays_back(&host);
            }
            Some(_) => {
                let _failed = ended.ended_with(1);
                assert_eq!(live(&host), rules("1.1.0"));
                let _settles = host.once();
                assert_eq!(states(&host), is(&[(2, "live good"), (1, "held")]));
                assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"), "the wish is forgotten");
            }
        }
    }
}
