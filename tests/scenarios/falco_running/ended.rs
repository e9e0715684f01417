//! Somebody starts Falco anew while it takes a change up.

use std::process::Command;
use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_commit_is_not_blamed_for_a_falco_that_somebody_starts_anew_meanwhile() {
    let mut host = with_faults(true, &[]);
    host.supervise(&[]);
    host.write("agent.toml", &host.read("agent.toml").replace("settle = \"100ms\"", "settle = \"2s\""));
    let commit = commit_rules(&host, &rules("two"));
    let loads = |host: &mut HostWithFalco| host.falco().output().matches("Starting health webserver").count();
    let before = loads(&mut host);
    let pass = host.command().args(["once", "--output", "json"]).spawn().unwrap();
    let give_up = Instant::now() + Duration::from_secs(10);
    while loads(&mut host) == before {
        assert!(Instant::now() < give_up, "it never reloads");
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = host.falco().pid().to_string();
    // The script waits for the end of the process, which is a child of this one.
    let mut restart = Command::new(host.path("restart-falco")).arg(pid).spawn().unwrap();
    let _ended = host.falco().wait_ended(Duration::from_secs(5)).unwrap();
    assert!(restart.wait().unwrap().success());
    assert_eq!(pass.wait_with_output().unwrap().status.code(), Some(0));
    let status = host.status().ended_with(0).json();
    assert_eq!((&status["revision"], &status["evidence"]), (&json!(commit), &json!("sha256")), "{status:#}");
    assert_eq!((&status["generation"], host.restarts()), (&json!(2), 1));
}
