//! What is asked of a daemon: a pass, other settings; and what it notices of Falco.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use falconer_tests::host::HostWithFalco;

use super::*;

#[test]
fn a_pass_is_made_when_it_is_asked_for() {
    let host = every("1h");
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.rests() == 1);
    let rules = format!("{RULES}# 1.1.0\n");
    host.publish(&rules, "1.1.0");
    let commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let status = host.falconer(["sync", "--wait", "--output", "json"]).ended_with(0).json();
    assert_eq!((&status["revision"], &status["condition"]), (&json!(commit), &json!("InSync")));
    assert_eq!(live(&host).as_deref(), Some(&*rules));

    // Without --wait the answer comes before the pass.
    let _commit = host.commit(&[("fleet.yaml", "nonsense")]);
    let _asked = host.falconer(["sync"]).ended_with(0);
    daemon.wait_for(SOON, |daemon| daemon.log().contains("ERROR"));
    let failed = host.falconer(["sync", "--wait", "--output", "json"]).ended_with(1).json();
    assert_eq!(failed["error"]["remedy"], "author");

    // Whoever says nothing, nonsense or too much keeps nobody from asking.
    let socket = host.path("run/control.sock");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mute: Vec<_> = (0..8).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for said in ["{}{}\n".to_string(), "x".repeat(100_000), "{\"run\": \"sh\"}\n".to_string()] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // It may be refused before it is taken whole.
        let _sent = stream.write_all(said.as_bytes());
        let mut answer = String::new();
        let _broken_off = stream.read_to_string(&mut answer);
        assert!(!answer.contains("asked") && !answer.contains("status"), "{answer}");
    }
    let _asked = host.falconer(["sync"]).ended_with(0);
    drop(mute);
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}

#[test]
fn settings_are_read_again_and_bad_ones_are_not_taken() {
    let host = every("1h");
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.rests() == 1);
    let good = host.read("agent.toml");
    for (bad, said) in [
        ("nonsense", "the settings stay as they are"),
        (&*good.replace("state = \"state\"", "state = \"elsewhere\""), "names other directories"),
    ] {
        let rests = daemon.rests();
        host.write("agent.toml", bad);
        daemon.signal(Signal::HUP);
        daemon.wait_for(SOON, |daemon| daemon.rests() > rests);
        assert!(daemon.log().contains(said), "{}", daemon.log());
    }
    host.write("agent.toml", &good.replace("every = \"1h\"", "every = \"1s\""));
    daemon.signal(Signal::HUP);
    daemon.wait_for(SOON, |daemon| daemon.log().contains("was read again") && daemon.passes() > 5);
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}

#[test]
fn a_falco_that_is_started_anew_is_noticed() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    let toml = format!("{}[schedule]\nevery = \"1h\"\n", host.read("agent.toml"));
    host.write("agent.toml", &toml);
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.rests() == 1);
    let noticed = |daemon: &Daemon| daemon.log().matches("another Falco runs, or none any more").count();
    host.stop_falco();
    daemon.wait_for(SOON, |daemon| noticed(daemon) == 1 && daemon.rests() == 2);
    host.start_falco(&[]);
    daemon.wait_for(SOON, |daemon| noticed(daemon) == 2 && daemon.rests() == 3);
    // Its own questions to the program wake nobody.
    let _status = host.status();
    for _ in 0..3 {
        let _asked = host.falconer(["sync", "--wait"]);
    }
    assert_eq!(noticed(&daemon), 2, "{}", daemon.log());
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}
