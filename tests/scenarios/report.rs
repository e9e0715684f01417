//! The lockfile back: what is really on the host, in Git, for whoever looks at the fleet.

use falconer_manifests::digest::Digest;
use falconer_manifests::host_lock::HostLock;
use falconer_manifests::outcome::Condition;
use falconer_manifests::report::Chain;
use falconer_tests::git_server::fixture::Fixture;
use falconer_tests::git_server::{Exchange, Fault, GitServer};
use falconer_tests::host::{Host, RULES, Run, agent_toml, fleet_yaml};
use serde_json::json;

mod collect;
mod elsewhere;
mod hooks;
mod many;
mod row;
mod signed;
mod sinks;

const PASSWORD: &str = "canary-secret-91c4";
/// `reporter:canary-secret-91c4` as Basic credentials (RFC 7617).
const AUTHORIZATION: &str = "Basic cmVwb3J0ZXI6Y2FuYXJ5LXNlY3JldC05MWM0";

/// The reference for reports of the host `web-1`.
fn reference() -> String {
    format!("refs/falconer/hosts/{}/web-1", &Digest::of(b"web-1").hex()[..2])
}

/// An adopted host and an empty repository for reports in `srv/reports.git`.
fn reporting(url: &str, more: &str) -> (Host, Fixture) {
    let host = Host::adopted();
    let reports = Fixture::create(&host.path("srv/reports.git")).unwrap();
    reports.git(&["config", "http.receivepack", "true"]).unwrap();
    host.configure(&format!("[report]\nurl = \"{url}\"\n{more}"));
    (host, reports)
}

/// The same with the repository behind a server that wants a password.
fn reporting_to_a_server() -> (Host, Fixture, GitServer) {
    let (host, reports) = reporting("to be known", "");
    let server = GitServer::start(&host.path("srv")).unwrap();
    server.demand(AUTHORIZATION);
    host.write("password", &format!("{PASSWORD}\n"));
    report_to(&host, &server);
    (host, reports, server)
}

fn report_to(host: &Host, server: &GitServer) {
    let credentials = "[report.credentials]\nusername = \"reporter\"\npassword_file = \"password\"\n";
    host.configure(&format!("[report]\nurl = \"{}\"\n{credentials}", server.url("reports.git")));
}

/// The report that is in Git, and its commit.
#[track_caller]
fn reported(reports: &Fixture) -> (String, HostLock) {
    let commit = reports.git(&["rev-parse", "--verify", &reference()]).unwrap();
    let (lock, _) = chained(&reports.git(&["show", &format!("{commit}:host.lock")]).unwrap());
    (commit, lock)
}

/// A report that was sent, as it is on the host, and its place in the row.
#[track_caller]
fn chained(text: &str) -> (HostLock, Chain) {
    let mut lock = HostLock::parse(text).unwrap();
    let chain = lock.chain.take().unwrap();
    (lock, chain)
}

/// A pass that logs all that it can, and never tells a password.
#[track_caller]
fn once_aloud(host: &Host) -> Run {
    let run = host.falconer(["once", "--output", "json", "--log", "trace"]);
    for secret in [PASSWORD, AUTHORIZATION.trim_start_matches("Basic ")] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
    }
    run
}

/// A pass that does its work and says that the report did not arrive.
#[track_caller]
fn is_not_reported(host: &Host, words: &str) {
    let run = host.once().ended_with(0);
    assert_eq!(run.json()["condition"], json!("InSync"));
    assert!(run.stderr.contains("WARN") && run.stderr.contains("was not pushed"), "{}", run.stderr);
    assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    assert!(!run.stderr.contains(PASSWORD), "{}", run.stderr);
}

#[test]
fn every_change_of_the_host_is_one_report_without_history() {
    let (host, reports) = reporting("srv/reports.git", "");
    let _status = host.once().ended_with(0);
    let (first, lock) = reported(&reports);
    assert_eq!(lock, host.host_lock());
    let text = reports.git(&["show", &format!("{first}:host.lock")]).unwrap();
    assert!(text.starts_with(host.read("state/host.lock").trim_end()), "{text}");
    let head = reports.git(&["log", "-1", "--format=%P|%an|%s", &first]).unwrap();
    assert_eq!(head, "|web-1|web-1: InSync (1)");
    assert_eq!(reports.git(&["ls-tree", "--name-only", &first]).unwrap(), "host.lock");

    let _status = host.once().ended_with(0);
    assert_eq!(reported(&reports).0, first, "an unchanged host says nothing new");

    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    let agent = host.read("agent.toml");
    host.write("agent.toml", &format!("{agent}[drift]\nmode = \"report\"\n"));
    let _drifted = host.once().ended_with(2);
    let (second, lock) = reported(&reports);
    assert_eq!((lock.condition, lock.sequence, lock.drift.len()), (Condition::Drifted, 2, 1));
    host.write("agent.toml", &agent);
    let _healed = host.once().ended_with(0);
    let (third, lock) = reported(&reports);
    assert_eq!((lock.condition, lock.sequence, lock.corrected.len()), (Condition::InSync, 3, 1));
    assert_eq!(reports.git(&["log", "--format=%H", &third]).unwrap(), third, "no report has a parent");
    assert_ne!(second, third);

    let broken = host.commit(&[("fleet.yaml", "version: 2\n")]);
    let _failed = host.once().ended_with(1);
    let (_, lock) = reported(&reports);
    assert_eq!((lock.condition, lock.wanted.unwrap().as_str()), (Condition::Failed, broken.as_str()));
    assert_ne!(lock.applied.unwrap().as_str(), broken);
    assert_eq!(reports.git(&["for-each-ref", "--format=%(refname)"]).unwrap(), reference());
}

#[test]
fn a_server_is_asked_only_when_there_is_something_to_say() {
    let (host, reports, server) = reporting_to_a_server();
    let _status = once_aloud(&host).ended_with(0);
    assert_eq!(reported(&reports).1, host.host_lock());
    let asked = server.exchanges();
    assert!(asked.iter().any(|asked| asked.authorization.as_deref() == Some(AUTHORIZATION)), "{asked:#?}");
    let before = host.snapshot("state");
    let _unchanged = once_aloud(&host).ended_with(0);
    assert_eq!(server.exchanges(), Vec::<Exchange>::new());
    assert_eq!(before.differences(&host.snapshot("state")), Vec::<&std::path::Path>::new());
    host.publish(&format!("{RULES}# 1.1.0\n"), "1.1.0");
    let commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let _status = once_aloud(&host).ended_with(0);
    assert_eq!(reported(&reports).1.applied.unwrap().as_str(), commit);
}

#[test]
fn a_server_that_refuses_does_not_stop_the_work_and_gets_the_report_later() {
    let (host, reports, server) = reporting_to_a_server();
    reports.hook("pre-receive", "echo 'no reports on Sundays' >&2; exit 1").unwrap();
    is_not_reported(&host, "no reports on Sundays");
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES);
    assert!(reports.git(&["rev-parse", "--verify", "--quiet", &reference()]).is_err());
    is_not_reported(&host, "no reports on Sundays");
    server.set_fault(Fault::Status(503, String::new()));
    is_not_reported(&host, "503");
    server.set_fault(Fault::Html);
    is_not_reported(&host, "127.0.0.1");
    server.set_fault(Fault::None);
    host.write("password", "another\n");
    is_not_reported(&host, "401");

    host.write("password", PASSWORD);
    std::fs::remove_file(reports.path().join("hooks/pre-receive")).unwrap();
    let run = host.once().ended_with(0);
    assert_eq!(run.stderr, "");
    assert_eq!(reported(&reports).1, host.host_lock());
    let _asked = server.exchanges();
    let _unchanged = host.once().ended_with(0);
    assert_eq!(server.exchanges(), Vec::<Exchange>::new());
}

#[test]
fn a_dead_server_does_not_stop_the_work_and_its_successor_gets_the_report() {
    let (host, reports, server) = reporting_to_a_server();
    drop(server);
    is_not_reported(&host, "127.0.0.1");
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    is_not_reported(&host, "127.0.0.1");
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES);
    let server = GitServer::start(&host.path("srv")).unwrap();
    report_to(&host, &server);
    let _status = once_aloud(&host).ended_with(0);
    let (_, lock) = reported(&reports);
    assert_eq!((&lock, lock.corrected.len()), (&host.host_lock(), 1));
}

#[test]
fn a_password_in_a_url_is_used_and_not_told() {
    let (host, reports, server) = reporting_to_a_server();
    let url = server.url("reports.git").replace("http://", &format!("http://reporter:{PASSWORD}@"));
    host.configure(&format!("[report]\nurl = \"{url}\"\n"));
    let _status = once_aloud(&host).ended_with(0);
    assert_eq!(reported(&reports).1, host.host_lock());
    drop(server);
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    is_not_reported(&host, "127.0.0.1");
}

#[test]
fn a_desired_state_and_reports_behind_one_login() {
    let (host, reports, server) = reporting_to_a_server();
    let _fleet = Fixture::create(&host.path("srv/fleet.git")).unwrap();
    host.git(&["-C", "fleet", "push", "-q", "../srv/fleet.git", "main"]);
    let login = "username = \"reporter\"\npassword_file = \"password\"\n";
    let agent =
        agent_toml(&server.url("fleet.git")).replace("[paths]", &format!("[repository.credentials]\n{login}[paths]"));
    let report = format!("[report]\nurl = \"{}\"\n[report.credentials]\n{login}", server.url("reports.git"));
    host.write("agent.toml", &format!("{agent}{report}"));
    let status = once_aloud(&host).ended_with(0).json();
    assert_eq!(status["condition"], json!("InSync"));
    assert_eq!(reported(&reports).1, host.host_lock());
    let _asked = server.exchanges();
    let _unchanged = once_aloud(&host).ended_with(0);
    let asked = server.exchanges();
    assert!(asked.len() <= 2 && asked.iter().all(|asked| asked.request.contains("fleet.git")), "{asked:#?}");
    let bytes: u64 = asked.iter().map(|asked| asked.received + asked.sent).sum();
    assert!(bytes < 2048, "{bytes} bytes: {asked:#?}");
}
