//! `falconer run`: passes for as long as the process lives, on time and when something changes.

mod asked;
mod away;
mod fleet;
mod held;
mod idle;
mod settling;
mod webhook;

use std::fs::{File, OpenOptions};
use std::time::Duration;

use falconer_tests::git_server::fixture::Fixture;
use falconer_tests::git_server::{Fault, GitServer};
use falconer_tests::host::{Daemon, Host, RULES, fleet_yaml};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use serde_json::json;

/// How long a test waits for something that must happen.
const SOON: Duration = Duration::from_secs(10);
/// How long a daemon may take to stop.
const STOP: Duration = Duration::from_secs(2);

/// An adopted host whose passes are this far apart.
fn every(period: &str) -> Host {
    let host = Host::adopted();
    host.configure(&format!("[schedule]\nevery = \"{period}\"\n"));
    host
}

/// The text of the live rules file, while there is one.
fn live(host: &Host) -> Option<String> {
    std::fs::read_to_string(host.path("state/current/rules/10-acme-rules.yaml")).ok()
}

#[test]
fn a_commit_is_picked_up_within_the_interval() {
    let host = every("1s");
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |_| live(&host).as_deref() == Some(RULES));
    let rules = format!("{RULES}# 1.1.0\n");
    host.publish(&rules, "1.1.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    daemon.wait_for(SOON, |_| live(&host).as_deref() == Some(&*rules));
    let passes = daemon.passes();
    daemon.wait_for(SOON, |daemon| daemon.passes() >= passes + 2);
    let log = daemon.log();
    assert!(log.contains("kind=\"update\" cause=\"intended\" name=acme-rules"), "{log}");
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}

#[test]
fn tampering_wakes_the_daemon_and_its_own_work_does_not() {
    let host = every("1h");
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.passes() == 1);
    for round in 0..5 {
        // The watch is emptied after a pass; what happens meanwhile is for the next scheduled one.
        daemon.wait_for(SOON, |daemon| daemon.log().matches("waits for").count() == round + 1);
        let file = host.live("acme-rules.yaml");
        match round {
            0 => std::fs::write(file, "- list: evil\n  items: []\n").unwrap(),
            1 => std::fs::remove_file(file).unwrap(),
            2 => std::fs::write(host.path("state/current/falconer.yaml"), "").unwrap(),
            3 => std::fs::write(file.with_file_name("99-evil.yaml"), "").unwrap(),
            _ => std::fs::remove_file(host.path("state/current")).unwrap(),
        }
        daemon.wait_for(SOON, |daemon| daemon.passes() >= round + 2);
        assert_eq!(live(&host).as_deref(), Some(RULES));
    }
    // Longer than a change needs to wake the daemon: neither its own last work nor passes that write nothing do.
    daemon.wait_for(SOON, |daemon| daemon.log().matches("waits for").count() == 6);
    for _pass in 0..10 {
        assert_eq!(host.once().ended_with(0).json()["drift"], json!([]));
    }
    let log = daemon.log();
    assert_eq!((daemon.passes(), log.matches("a file that matters has changed").count()), (6, 5), "{log}");
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}

#[test]
fn a_falco_yaml_that_changes_wakes_the_daemon() {
    let host = every("1h");
    let adopted = host.read("etc/falco.yaml");
    host.write("etc/falco.yaml", falconer_tests::host::FALCO_YAML);
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.log().contains("waits for"));
    assert!(daemon.log().contains("falconer adopt"), "{}", daemon.log());
    host.write("etc/falco.yaml", &adopted);
    daemon.wait_for(SOON, |daemon| daemon.log().contains("condition=\"InSync\""));
}

#[test]
fn a_daemon_that_is_asked_to_stop_stops_whatever_it_waits_for() {
    let host = every("1h");
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::start(&host, "daemon");
        daemon.wait_for(SOON, |daemon| daemon.passes() == 1);
        daemon.signal(signal);
        assert_eq!(daemon.stop(STOP).code(), Some(0));
    }

    let server_root = host.path("srv");
    let _fleet = Fixture::create(&server_root.join("fleet.git")).unwrap();
    let server = GitServer::start(&server_root).unwrap();
    server.set_fault(Fault::Stall);
    host.write("agent.toml", &falconer_tests::host::agent_toml(&server.url("fleet.git")));
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |_| server.connections() > 0);
    assert_eq!(daemon.stop(STOP).code(), Some(0));
    assert_eq!(live(&host).as_deref(), Some(RULES));
}

/// The lock of the state directory, as a pass of another falconer holds it.
fn at_work(host: &Host) -> File {
    let lock = OpenOptions::new().write(true).open(host.path("state/lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    lock
}

#[test]
fn whoever_finds_another_at_work_says_so_and_comes_back() {
    let host = every("1h");
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.log().contains("waits for"));
    let other = at_work(&host);
    for command in ["once", "plan"] {
        let refused = host.falconer([command]).ended_with(75);
        let said = ["another falconer is at work in", "hint: try again later"];
        assert!(said.iter().all(|said| refused.stderr.contains(said)), "{}", refused.stderr);
    }
    let answer = host.once().ended_with(75).json();
    assert_eq!(answer["error"]["remedy"], json!("time"));
    let _asking_needs_no_lock = host.status().ended_with(0);

    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    daemon.wait_for(SOON, |daemon| daemon.log().contains("another falconer is at work"));
    assert_eq!(live(&host).as_deref(), Some(""), "nobody writes while another is at work");
    drop(other);
    daemon.wait_for(SOON, |_| live(&host).as_deref() == Some(RULES));
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}

#[test]
fn a_second_daemon_is_told_of_the_first_and_a_killed_one_leaves_nothing_in_the_way() {
    let host = every("1h");
    let mut first = Daemon::start(&host, "first");
    first.wait_for(SOON, |daemon| daemon.rests() == 1);
    assert_eq!(Daemon::start(&host, "second").wait_ended(SOON).code(), Some(75));
    let said = host.read("second.log");
    assert!(said.contains("another falconer daemon runs already (process "), "{said}");
    assert!(said.contains("hint: ask it for a pass with `falconer sync`"), "{said}");
    let _answer = host.falconer(["sync", "--wait"]).ended_with(0);
    // Killed: its lock is gone with it, its socket stays behind.
    drop(first);
    assert!(host.path("run/control.sock").exists());
    let nobody = host.falconer(["sync"]).ended_with(1);
    assert!(nobody.stderr.contains("no falconer daemon listens"), "{}", nobody.stderr);
    let mut next = Daemon::start(&host, "next");
    next.wait_for(SOON, |daemon| daemon.rests() == 1);
    let _answer = host.falconer(["sync", "--wait"]).ended_with(0);
    assert_eq!(next.stop(STOP).code(), Some(0));
    assert!(!host.path("run/control.sock").exists());
}
