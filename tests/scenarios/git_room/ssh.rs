//! The same over ssh, with the real server.

use std::time::Instant;

use falconer::git::{Expected, Report};
use falconer_manifests::remedy::Remedy;
use falconer_tests::sshd::Sshd;

use super::*;

struct Host {
    directory: tempfile::TempDir,
    sshd: Sshd,
    fleet: Fixture,
}

fn host(version2: bool) -> Host {
    let directory = tempfile::tempdir().unwrap();
    let fleet = Fixture::create(&directory.path().join("it's a fleet.git")).unwrap();
    let sshd = Sshd::start(directory.path(), version2).unwrap();
    Host { directory, sshd, fleet }
}

impl Host {
    fn access(&self) -> Access {
        let mut access = access();
        access.ssh.identity_file = Some(self.sshd.key());
        access.ssh.known_hosts = Some(self.sshd.known_hosts());
        access
    }

    fn url(&self) -> String {
        self.sshd.url(self.fleet.path())
    }
}

#[test]
fn a_branch_is_followed_over_ssh_with_either_protocol() {
    for version2 in [true, false] {
        let host = host(version2);
        host.fleet.commit_file("main", "fleet.yaml", b"zero\n").unwrap();
        host.fleet.commit_file("main", "fleet.yaml", b"one\n").unwrap();
        block(async {
            let mut remote = remote(&host.url(), host.access());
            let ours = Repository::open_or_create(&host.directory.path().join("ours")).unwrap();
            let (one, _) = update(&mut remote, &ours, None).await.unwrap();
            let base = revision(&host.fleet.git(&["rev-parse", "main~1"]).unwrap());
            assert!(!ours.has(&base));
            host.fleet.commit_file("main", "fleet.yaml", b"two\n").unwrap();
            let (two, lineage) = update(&mut remote, &ours, Some(&one)).await.unwrap();
            assert_eq!(lineage, Lineage::Descendant);
            assert_eq!(read(&ours, &two, "fleet.yaml").unwrap(), b"two\n");
            host.fleet.git(&["update-ref", "refs/heads/main", base.as_str()]).unwrap();
            let (_, lineage) = update(&mut remote, &ours, Some(&two)).await.unwrap();
            assert_eq!(lineage, Lineage::Rewritten);

            let error = remote.poll(&BranchName::parse("gone").unwrap()).await.unwrap_err();
            assert!(matches!(error, GitError::BranchNotFound { .. }), "{error}");
            let files = [(path("host.lock"), b"version = 1\n".to_vec())];
            let report = Report {
                reference: "refs/falconer/hosts/a5/web-1",
                files: &files,
                message: "report",
                author: "web-1",
                email: "falconer@web-1",
                time: 1_700_000_000,
                expected: Expected::Absent,
                signing_key: None,
            };
            let pushed = remote.push_report(&report).await.unwrap();
            assert!(pushed.changed);
            let there = host.fleet.git(&["rev-parse", report.reference]).unwrap();
            assert_eq!(there, pushed.commit.as_str());
            assert!(matches!(remote.push_report(&report).await, Err(GitError::Lost { .. })));
        });
    }
}

#[test]
fn strangers_are_refused_on_both_sides() {
    let host = host(true);
    host.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    let poll = |access| block(remote(&host.url(), access).poll(&main_branch()));
    assert!(poll(host.access()).is_ok());
    for known_hosts in [host.sshd.wrong_known_hosts(), host.sshd.empty_known_hosts(), "/nonexistent".into()] {
        let mut access = host.access();
        access.ssh.known_hosts = Some(known_hosts);
        let error = poll(access).unwrap_err();
        println!("{error}");
        assert!(matches!(error, GitError::HostKey { .. }), "{error}");
        assert_eq!(error.remedy(), Remedy::Operator);
    }
    let mut access = host.access();
    access.ssh.identity_file = Some(host.sshd.stranger_key());
    let error = poll(access).unwrap_err();
    println!("{error}");
    assert!(matches!(error, GitError::Denied { .. }), "{error}");
    let mut access = host.access();
    access.ssh.program = "/nonexistent/ssh".into();
    let error = poll(access).unwrap_err();
    assert!(matches!(error, GitError::SshMissing { .. }), "{error}");

    let absent = host.sshd.url(Path::new("/nonexistent.git"));
    let error = block(remote(&absent, host.access()).poll(&main_branch())).unwrap_err();
    assert!(matches!(error, GitError::NotFound { .. }), "{error}");
}

#[test]
fn an_ssh_server_that_stalls_costs_the_deadline_at_most() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    // It greets, so that ssh's own timeout for connecting is content, and then says nothing.
    let greeting = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"SSH-2.0-silence\r\n").unwrap();
        (server, stream)
    });
    let mut access = access();
    access.limits.deadline = Duration::from_secs(2);
    let start = Instant::now();
    let url = format!("ssh://127.0.0.1:{port}/x");
    let error = block(remote(&url, access.clone()).poll(&main_branch())).unwrap_err();
    assert!(matches!(error, GitError::Late { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Time, "{error}");
    assert!(start.elapsed() < Duration::from_secs(4));
    while is_running(&port.to_string()) {
        assert!(start.elapsed() < Duration::from_secs(20), "ssh still runs");
        std::thread::yield_now();
    }
    drop(greeting.join().unwrap());
    let error = block(remote(&url, access).poll(&main_branch())).unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert_eq!(error.remedy(), Remedy::Time);
}

/// Whether an `ssh` runs with `argument` among its arguments.
fn is_running(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok());
    lines.any(|line| line.starts_with("ssh\0") && line.split('\0').any(|other| other == argument))
}
