//! Reports: put where they belong, or said not to be.

use falconer::git::{Expected, PushedReport, Report};
use falconer_manifests::remedy::Remedy;

use super::*;

const REFERENCE: &str = "refs/falconer/hosts/a5/web-1";

/// Pushes one file with `content`, as of `time`.
async fn push(remote: &mut Remote, content: &[u8], time: i64, expected: Expected) -> Result<PushedReport, GitError> {
    let files = [(path("host.lock"), content.to_vec()), (path("more/below"), b"x".to_vec())];
    let report = Report {
        reference: REFERENCE,
        files: &files,
        message: "web-1: in sync\n",
        author: "web-1",
        email: "falconer@web-1",
        time,
        expected,
        signing_key: None,
    };
    remote.push_report(&report).await
}

/// The same story for a server and a directory.
async fn told(remote: &mut Remote, fleet: &Fixture) {
    let first = push(remote, b"one\n", 1000, Expected::Absent).await.unwrap();
    assert!(first.changed);
    assert_eq!(fleet.git(&["rev-parse", REFERENCE]).unwrap(), first.commit.as_str());
    assert_eq!(fleet.git(&["show", &format!("{REFERENCE}:host.lock")]).unwrap(), "one");
    assert_eq!(fleet.git(&["show", &format!("{REFERENCE}:more/below")]).unwrap(), "x");
    let head = fleet.git(&["log", "-1", "--format=%P|%an|%ae|%ct|%s", REFERENCE]).unwrap();
    assert_eq!(head, "|web-1|falconer@web-1|1000|web-1: in sync");
    fleet.git(&["fsck", "--strict"]).unwrap();

    let again = push(remote, b"one\n", 1000, Expected::Anything).await.unwrap();
    assert_eq!(again, PushedReport { commit: first.commit.clone(), changed: false });
    let second = push(remote, b"two\n", 2000, Expected::Commit(first.commit.clone())).await.unwrap();
    assert_eq!(fleet.git(&["rev-parse", REFERENCE]).unwrap(), second.commit.as_str());

    for expected in [Expected::Commit(first.commit), Expected::Absent] {
        let error = push(remote, b"three\n", 3000, expected).await.unwrap_err();
        assert!(matches!(error, GitError::Lost { .. }), "{error}");
        assert_eq!(error.remedy(), Remedy::Time);
    }
    assert_eq!(fleet.git(&["rev-parse", REFERENCE]).unwrap(), second.commit.as_str());
    let third = push(remote, b"three\n", 3000, Expected::Anything).await.unwrap();
    assert_eq!(fleet.git(&["rev-parse", REFERENCE]).unwrap(), third.commit.as_str());
}

#[test]
fn reports_go_to_a_server() {
    let stage = Stage::new();
    stage.fleet.git(&["config", "http.receivepack", "true"]).unwrap();
    block(told(&mut stage.remote(), &stage.fleet));
    println!("{:#?}", stage.server.exchanges());
    assert!(!stage.directory.path().join("ours").exists());
}

#[test]
fn reports_go_to_a_directory() {
    let stage = Stage::new();
    block(told(&mut remote(&stage.fleet.path().display().to_string(), access()), &stage.fleet));
}

#[test]
fn a_push_that_comes_too_late_is_lost_and_says_so() {
    let stage = Stage::new();
    stage.fleet.git(&["config", "http.receivepack", "true"]).unwrap();
    let other = stage.fleet.commit_file("main", "x", b"x").unwrap();
    block(async {
        let mut remote = stage.remote();
        push(&mut remote, b"one\n", 1000, Expected::Anything).await.unwrap();
        // Somebody else pushes after we have been told the old value.
        let race = format!("git --git-dir='{}' update-ref {REFERENCE} {other}", stage.fleet.path().display());
        stage.fleet.hook("pre-receive", &format!("unset GIT_QUARANTINE_PATH\n{race}")).unwrap();
        let error = push(&mut remote, b"two\n", 2000, Expected::Anything).await.unwrap_err();
        println!("{error}");
        assert!(matches!(error, GitError::Lost { .. }), "{error}");
        assert_eq!(stage.fleet.git(&["rev-parse", REFERENCE]).unwrap(), other);
    });
}

#[test]
fn hooks_and_read_only_servers_are_believed() {
    let stage = Stage::new();
    stage.fleet.commit_file("main", "x", b"x").unwrap();
    block(async {
        let mut remote = stage.remote();
        let error = push(&mut remote, b"one\n", 1000, Expected::Anything).await.unwrap_err();
        assert!(matches!(error, GitError::Denied { .. }), "{error}");
        assert_eq!(error.remedy(), Remedy::Operator);

        stage.fleet.git(&["config", "http.receivepack", "true"]).unwrap();
        for hook in ["pre-receive", "update"] {
            stage.fleet.hook(hook, "echo reports are closed >&2; exit 1").unwrap();
            let error = push(&mut remote, b"one\n", 1000, Expected::Anything).await.unwrap_err();
            println!("{error}");
            assert!(matches!(error, GitError::Refused { .. }), "{error}");
            assert!(error.to_string().contains("hook declined (reports are closed"), "{error}");
            assert!(stage.fleet.git(&["rev-parse", "--verify", "--quiet", REFERENCE]).is_err());
            std::fs::remove_file(stage.fleet.path().join("hooks").join(hook)).unwrap();
        }
        stage.fleet.git(&["config", "receive.hideRefs", "refs/falconer"]).unwrap();
        let error = push(&mut remote, b"one\n", 1000, Expected::Anything).await.unwrap_err();
        println!("{error}");
        assert!(matches!(error, GitError::Refused { .. }), "{error}");
    });
}
