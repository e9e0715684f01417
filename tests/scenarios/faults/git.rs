//! A Git server that lies, stalls or is gone, and a branch that is not what it was.

use std::net::TcpListener;

use falconer_tests::git_server::{Fault, GitServer};
use falconer_tests::sshd::Sshd;

use super::*;

/// A host that follows its repository over http.
struct Stage {
    host: Host,
    server: GitServer,
}

impl Stage {
    fn new() -> Self {
        let host = installed();
        let server = GitServer::start(&host.path("")).unwrap();
        follow(&host, &server.url("fleet/.git"), "deadline = \"2s\"", "");
        converges(&host, 1);
        Self { host, server }
    }

    /// Somebody writes into a live rules file.
    fn tamper(&self) {
        std::fs::write(self.host.live("own.yaml"), "- list: somebody_elses\n  items: []\n").unwrap();
    }

    /// While Git is at fault: a pass says so with these words, and puts right what was tampered with all the same.
    #[track_caller]
    fn is_away(&self, words: &[&str]) {
        is_refused(&self.host, words);
        self.tamper();
        let answer = falconer_tests::host::run(&mut once(&self.host)).ended_with(1).json();
        assert_eq!(answer["condition"], "Failed", "{answer:#}");
        for word in words {
            assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{answer:#}");
        }
        assert_eq!(answer["drift"][0]["kind"], "modified", "{answer:#}");
        assert_live(&self.host, 1);
    }

    /// Git is itself again, and the host catches up.
    #[track_caller]
    fn catches_up(&self) {
        commit(&self.host, 2);
        converges(&self.host, 2);
    }
}

#[test]
fn a_server_that_is_gone() {
    let Stage { host, server } = Stage::new();
    let url = server.url("fleet/.git");
    drop(server);
    let stage = Stage { server: GitServer::start(&host.path("")).unwrap(), host };
    follow(&stage.host, &url, "", "");
    stage.is_away(&["cannot reach"]);
    follow(&stage.host, &stage.server.url("fleet/.git"), "", "");
    stage.catches_up();
}

#[test]
fn a_server_that_accepts_and_says_nothing() {
    let stage = Stage::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/fleet/.git", silent.local_addr().unwrap());
    follow(&stage.host, &url, "deadline = \"1s\"", "");
    stage.is_away(&["1 s"]);
    follow(&stage.host, &stage.server.url("fleet/.git"), "", "");
    stage.catches_up();
}

#[test]
fn a_server_that_goes_wrong() {
    let stage = Stage::new();
    for (fault, word) in [
        (Fault::Stall, "2 s"),
        (Fault::Drip, "2 s"),
        (Fault::Html, "text/html"),
        (Fault::Status(503, "Retry-After: soon".into()), "503"),
        (Fault::Status(404, String::new()), "not a repository"),
        (Fault::Endless, "Git's protocol"),
    ] {
        stage.server.set_fault(fault);
        stage.is_away(&[word]);
    }
    // What goes wrong in a pack shows only when one is fetched.
    commit(&stage.host, 2);
    for fault in [Fault::Truncate, Fault::Corrupt] {
        stage.server.set_fault(fault);
        is_refused(&stage.host, &["fleet/.git"]);
        assert_live(&stage.host, 1);
    }
    stage.server.set_fault(Fault::None);
    converges(&stage.host, 2);
}

#[test]
fn a_branch_that_was_rewritten() {
    let stage = Stage::new();
    commit(&stage.host, 2);
    converges(&stage.host, 2);
    let (host, accepted) = (&stage.host, stage.host.git(&["-C", "fleet", "rev-parse", "HEAD"]));
    for local in [false, true] {
        if local {
            follow(host, "fleet", "", "");
        }
        for history in [vec!["reset", "-q", "--hard", "HEAD~1"], vec!["checkout", "-q", "--orphan", "other"]] {
            host.git(&[&["-C", "fleet"], history.as_slice()].concat());
            host.commit(&[("rules/own.yaml", &own(3))]);
            host.git(&["-C", "fleet", "branch", "-f", "-M", "main"]);
            is_refused(host, &["main was rewritten", accepted.trim().get(..12).unwrap()]);
            assert_live(host, 2);
            host.git(&["-C", "fleet", "reset", "-q", "--hard", accepted.trim()]);
            converges(host, 2);
        }
    }
}

#[test]
fn a_branch_that_is_gone() {
    let stage = Stage::new();
    for local in [false, true] {
        if local {
            follow(&stage.host, "fleet", "", "");
        }
        stage.host.git(&["-C", "fleet", "branch", "-M", "main", "trunk"]);
        stage.is_away(&["main", "trunk"]);
        stage.host.git(&["-C", "fleet", "branch", "-M", "trunk", "main"]);
        converges(&stage.host, 1);
    }
    stage.catches_up();
}

#[test]
fn a_repository_that_is_empty() {
    let stage = Stage::new();
    stage.host.git(&["init", "-q", "--bare", "-b", "main", "empty.git"]);
    for url in [stage.server.url("empty.git"), "empty.git".into()] {
        follow(&stage.host, &url, "", "");
        stage.is_away(&["is empty"]);
    }
    follow(&stage.host, &stage.server.url("gone.git"), "", "");
    stage.is_away(&["not a repository"]);
    follow(&stage.host, &stage.server.url("fleet/.git"), "", "");
    stage.catches_up();
}

#[test]
fn a_server_with_another_key() {
    let stage = Stage::new();
    let keys = stage.host.path("keys");
    std::fs::create_dir_all(&keys).unwrap();
    let sshd = Sshd::start(&keys, true).unwrap();
    let url = sshd.url(&stage.host.path("fleet/.git"));
    let with = |known_hosts: &Path| {
        let files = format!("identity_file = {:?}\nknown_hosts_file = {known_hosts:?}", sshd.key());
        follow(&stage.host, &url, &format!("[repository.credentials]\n{files}"), "");
    };
    with(&sshd.wrong_known_hosts());
    stage.is_away(&["host key"]);
    with(&sshd.empty_known_hosts());
    stage.is_away(&["host key"]);
    with(&sshd.known_hosts());
    stage.catches_up();
}
