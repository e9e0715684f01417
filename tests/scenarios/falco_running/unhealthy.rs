//! A Falco that is not well whatever is live, one that somebody keeps starting, and what may be live without its word.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use falconer_tests::host::Host;
use rustix::process::{Pid, Signal, kill_process_group};

use super::*;

#[test]
fn a_falco_that_dies_of_the_good_generation_too_is_left_alone() {
    let mut host = with_faults(true, &[Fault::DieAtReload]);
    std::fs::write(host.live("own.yaml"), "").unwrap();
    let status = host.once().ended_with(1);
    assert_eq!(short(&status), is("Failed", 2, "none"));
    let _settles = host.once().ended_with(1);
    let status = nothing_more_is_done(&host, 1);
    assert!(status["reason"].as_str().unwrap().starts_with("falco_unhealthy: generation 2 is complete"), "{status:#}");
    assert_eq!((&status["next"]["who"], host.sighups()), (&json!("operator"), 1));
    assert_eq!(host.read("state/current/rules/10-own.yaml"), rules("one"), "the good one, whole, on disk");
    host.start_falco(&[]);
    assert_eq!(short(&host.once().ended_with(0)), is("InSync", 2, "sha256"));
    nothing_more_is_done(&host, 0);
}

/// Starts a command line again and again, as systemd does, only sooner.
struct KeepsStarting(Child);

impl KeepsStarting {
    fn start(host: &HostWithFalco, port: u16, fault: Fault) -> Self {
        let output = std::fs::File::create(host.path("kept.log")).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "while :; do \"$@\"; sleep 0.05; done", "sh"]).arg(host.path("falco"));
        shell.args(["-o", &format!("webserver.listen_port={port}"), "-c"]).arg(host.path("etc/falco.yaml"));
        shell.arg(fault.argument()).stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        Self(shell.process_group(0).spawn().unwrap())
    }
}

impl Drop for KeepsStarting {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.0.id().cast_signed()).unwrap();
        let _gone = kill_process_group(group, Signal::KILL);
        let _reaped = self.0.wait();
    }
}

#[test]
fn whoever_starts_falco_in_the_middle_starts_it_with_a_complete_generation() {
    let mut host = with_faults(true, &[]);
    let port = host.falco().port();
    host.stop_falco();
    let kept = KeepsStarting::start(&host, port, Fault::DieAtReload);
    let proven = |host: &HostWithFalco, condition: &str| {
        let give_up = Instant::now() + Duration::from_secs(15);
        loop {
            let status = host.once().json();
            if (&status["condition"], &status["evidence"]) == (&json!(condition), &json!("sha256")) {
                break;
            }
            assert!(Instant::now() < give_up, "{status:#}\n{}", host.read("kept.log"));
        }
    };
    proven(&host, "InSync");
    for mark in ["two", "three"] {
        let commit = commit_rules(&host, &rules(mark));
        // It dies of being told, and is back with what was live in that moment.
        let status = host.once().ended_with(0);
        assert_eq!(
            (short(&status).2, &status.json()["revision"]),
            ("sha256".to_string(), &json!(commit)),
            "{status:?}"
        );
        assert_eq!(host.read("state/current/rules/10-own.yaml"), rules(mark));
        proven(&host, "InSync");
    }
    // Nothing but the fault has ever kept it from starting.
    let log = host.read("kept.log");
    let errors: Vec<_> = log.lines().filter(|line| line.contains("Error:") && !line.contains("the source")).collect();
    assert_eq!(errors, Vec::<&str>::new());
    drop(kept);
}

#[test]
fn how_much_falco_has_to_say_is_the_hosts_choice() {
    let host = Host::adopted();
    host.configure("validate = \"required\"\n");
    let status = host.once().ended_with(1).json();
    assert!(status["reason"].as_str().unwrap().contains("cannot be validated"), "{status:#}");
    assert_eq!((status["generation"].clone(), &status["next"]["who"]), (Value::Null, &json!("operator")));
    assert!(!host.path("state/current").exists());
    host.configure("validate = \"when-possible\"\n");
    assert_eq!(host.once().ended_with(0).json()["validation"], json!("unvalidated"));

    let host = with_faults(true, &[]);
    let text = host.read("agent.toml");
    host.write("agent.toml", &text.replace("[falco]\n", "[falco]\nvalidate = \"never\"\n"));
    let _commit = commit_rules(&host, &rules("two"));
    let status = host.once().ended_with(0);
    assert_eq!(short(&status), is("InSync", 2, "sha256"));
    assert_eq!(status.json()["validation"], json!("unvalidated"));
}
