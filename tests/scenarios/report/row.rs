//! The row of reports: paced, chained, kept over outages, and loud when somebody else breaks in.

use std::time::Duration;

use falconer_tests::host::Daemon;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// The place in the row of the report that is in Git, and the digest of its text.
#[track_caller]
fn chain(reports: &Fixture) -> (Chain, Digest) {
    let text = reports.git(&["cat-file", "blob", &format!("{}:host.lock", reference())]).unwrap();
    (chained(&text).1, Digest::of(format!("{text}\n").as_bytes()))
}

/// How often the reference was changed: the hook of [`counting`] adds a line each time.
fn pushes(host: &Host) -> usize {
    std::fs::read_to_string(host.path("pushes")).map(|text| text.lines().count()).unwrap_or_default()
}

/// A host that reports to a server which counts pushes.
fn counting(more: &str) -> (Host, Fixture, GitServer) {
    let (host, reports) = reporting("to be known", "");
    let log = host.path("pushes");
    reports.hook("post-receive", &format!("cat >> '{}'", log.display())).unwrap();
    let server = GitServer::start(&host.path("srv")).unwrap();
    host.configure(&format!("[schedule]\nevery = \"1h\"\n[report]\nurl = \"{}\"\n{more}", server.url("reports.git")));
    (host, reports, server)
}

#[test]
fn heartbeats_continue_the_row_and_cost_a_pass_nothing() {
    let (host, reports, _server) = counting("heartbeat = \"1s\"\ncoalesce = \"0s\"\n");
    let mut daemon = Daemon::start(&host, "daemon");
    let mut seen: Option<(Chain, Digest)> = None;
    for _beat in 0..3 {
        let before = seen.as_ref().map_or(0, |(chain, _)| chain.number);
        daemon.wait_for(SOON, |_| {
            reports.git(&["rev-parse", "--verify", "--quiet", &reference()]).is_ok()
                && chain(&reports).0.number > before
        });
        let (now, digest) = chain(&reports);
        if let Some((last, last_digest)) = seen.filter(|(last, _)| last.number + 1 == now.number) {
            assert_eq!(now.previous, Some(last_digest), "the row is not broken");
            assert_eq!((&now.instance, now.heartbeat), (&last.instance, 1));
        }
        seen = Some((now, digest));
    }
    let (_, lock) = reported(&reports);
    assert_eq!(lock.sequence, 1, "the host has not changed: {lock:?}");
    assert_eq!(daemon.passes(), 1, "{}", daemon.log());
    assert_eq!(daemon.stop(Duration::from_secs(2)).code(), Some(0));
}

#[test]
fn several_changes_are_one_report() {
    let (host, reports, _server) = counting("coalesce = \"1500ms\"\n");
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.passes() == 1);
    for round in 1..=3 {
        daemon.wait_for(SOON, |daemon| daemon.log().matches("waits for a change").count() == round);
        std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
        daemon.wait_for(SOON, |daemon| daemon.passes() > round);
    }
    assert_eq!(pushes(&host), 0, "they have come within the time that is waited");
    daemon.wait_for(SOON, |_| pushes(&host) == 1);
    let (chain, _) = chain(&reports);
    assert_eq!((reported(&reports).1, chain.number, chain.previous), (host.host_lock(), 1, None));
    assert_eq!(host.host_lock().sequence, 4);
}

#[test]
fn a_stalled_server_keeps_no_pass_waiting_and_gets_the_newest_report_only() {
    let (host, reports, server) = counting("coalesce = \"0s\"\ndeadline = \"1s\"\n");
    server.set_fault(Fault::Stall);
    let mut daemon = Daemon::start(&host, "daemon");
    for round in 1..=3 {
        daemon.wait_for(SOON, |daemon| daemon.log().matches("waits for a change").count() == round);
        std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
        daemon.wait_for(Duration::from_millis(900), |daemon| daemon.passes() > round);
    }
    daemon.wait_for(SOON, |daemon| daemon.log().contains("was not pushed"));
    let status = host.status().json();
    assert!(status["report"]["failing"]["message"].as_str().unwrap().contains("127.0.0.1"), "{status}");
    server.set_fault(Fault::None);
    daemon.wait_for(SOON, |_| pushes(&host) == 1);
    assert_eq!((reported(&reports).1, chain(&reports).0.number), (host.host_lock(), 1));
    daemon.wait_for(SOON, |_| host.status().json()["report"]["failing"].is_null());
}

#[test]
fn what_was_not_sent_before_a_restart_is_sent_after_it() {
    let (host, reports, server) = counting("");
    server.set_fault(Fault::Status(503, String::new()));
    is_not_reported(&host, "503");
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    is_not_reported(&host, "503");
    server.set_fault(Fault::None);
    // The answer is lost, and the report is there.
    server.set_fault(Fault::Unanswered);
    is_not_reported(&host, "127.0.0.1");
    let (before, _) = chain(&reports);
    server.set_fault(Fault::None);
    let run = host.once().ended_with(0);
    assert_eq!(run.stderr, "", "our own report is no stranger's");
    assert_eq!((chain(&reports).0, pushes(&host)), (before, 1));
    assert_eq!(reported(&reports).1, host.host_lock());
}

#[test]
fn two_hosts_with_one_name_are_told_so_on_both_sides() {
    let (host, reports, _server) = counting("");
    let _first = host.once().ended_with(0);
    let first = chain(&reports).0;
    host.git(&["clone", "-q", "fleet", "other/fleet"]);
    host.write("other/agent.toml", &host.read("agent.toml"));
    host.write("other/etc/falco.yaml", &host.read("etc/falco.yaml").replace("/state/", "/other/state/"));
    std::os::unix::fs::symlink(host.path("artifacts"), host.path("other/artifacts")).unwrap();
    let other = |arguments: &[&str]| {
        let mut command = host.command();
        command.env("FALCONER_CONFIG", host.path("other/agent.toml")).args(arguments);
        falconer_tests::host::run(&mut command)
    };
    // It may be the same host, installed anew: a warning.
    let second = other(&["once", "--output", "json"]).ended_with(0);
    assert!(second.stderr.contains("WARN") && second.stderr.contains(&first.instance), "{}", second.stderr);
    let displaced = chain(&reports).0;
    assert_eq!((displaced.displaced.as_deref(), displaced.number), (Some(&*first.instance), 1));

    let drifted = |host: &Host, state: &str| {
        let rules = std::fs::read_dir(host.path(format!("{state}/current/rules"))).unwrap();
        rules.for_each(|file| std::fs::write(file.unwrap().path(), "").unwrap());
    };
    drifted(&host, "state");
    let told = host.once().ended_with(0);
    assert!(told.stderr.contains("ERROR") && told.stderr.contains("another host reports"), "{}", told.stderr);
    assert_eq!(chain(&reports).0.displaced, Some(displaced.instance.clone()));
    let status = host.once().ended_with(1).json();
    assert_eq!(status["condition"], json!("Failed"));
    assert!(status["reason"].as_str().unwrap().contains(&displaced.instance), "{status}");
    assert_eq!(host.status().ended_with(1).json()["report"]["rival"]["instance"], json!(displaced.instance));
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES, "it is kept right all the same");

    drifted(&host, "other/state");
    let told = other(&["once"]).ended_with(0);
    assert!(told.stderr.contains("ERROR") && told.stderr.contains(&first.instance), "{}", told.stderr);
    let _failed = other(&["once"]).ended_with(1);
}

#[test]
fn a_copy_of_a_host_is_another_host() {
    let (host, reports, _server) = counting("");
    let _first = host.once().ended_with(0);
    let kept = host.read("state/reporting");
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    let _second = host.once().ended_with(0);
    // The copy was made before the second report.
    host.write("state/reporting", &kept);
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    let told = host.once().ended_with(0);
    assert!(told.stderr.contains("another host reports"), "{}", told.stderr);
    assert_eq!(chain(&reports).0.displaced, Some(chain(&reports).0.instance));
}

#[test]
fn a_report_that_somebody_removed_comes_back() {
    let (host, reports, _server) = counting("heartbeat = \"1s\"\n");
    let _first = host.once().ended_with(0);
    reports.git(&["update-ref", "-d", &reference()]).unwrap();
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.log().contains("was removed by somebody"));
    daemon.wait_for(SOON, |_| reports.git(&["rev-parse", "--verify", "--quiet", &reference()]).is_ok());
    assert!(chain(&reports).0.number >= 2);
}

#[test]
fn a_fleet_with_a_budget_takes_turns() {
    let (host, reports, _server) = counting("fleet_size = 1000000\npushes_per_minute = 1\n");
    let _status = host.once().ended_with(0);
    assert!(reports.git(&["rev-parse", "--verify", "--quiet", &reference()]).is_err(), "it is not this host's turn");
    assert!(host.status().json()["report"]["waiting_since"].is_u64());
    let before = host.snapshot("state");
    let _unchanged = host.once().ended_with(0);
    assert_eq!(before.differences(&host.snapshot("state")), Vec::<&std::path::Path>::new());
}
