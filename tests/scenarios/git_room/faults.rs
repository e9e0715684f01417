//! Servers that are slow, broken, in the way, or not to be trusted.

use std::time::Instant;

use falconer::git::Credential;
use falconer_manifests::remedy::Remedy;
use falconer_tests::git_server::Fault;
use secrecy::SecretString;

use super::*;

const SHORT: Duration = Duration::from_secs(2);

/// The packs and the leftovers in our repository.
fn files(stage: &Stage) -> usize {
    let ours = stage.directory.path().join("ours");
    let leftovers = std::fs::read_dir(&ours).unwrap().filter(|entry| entry.as_ref().unwrap().file_name() == "incoming");
    leftovers.count() + std::fs::read_dir(ours.join("objects/pack")).unwrap().count()
}

#[test]
fn a_server_that_stalls_or_drips_costs_the_deadline_at_most() {
    for fault in [Fault::Stall, Fault::Drip] {
        let stage = Stage::new();
        let tip = stage.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
        let mut access = access();
        access.limits.deadline = SHORT;
        let mut remote = remote(&stage.server.url("fleet.git"), access);
        block(async {
            stage.server.set_fault(fault.clone());
            let start = Instant::now();
            let error = remote.poll(&main_branch()).await.unwrap_err();
            assert!(matches!(error, GitError::Late { .. }), "{error}");
            assert_eq!(error.remedy(), Remedy::Time);
            assert!(start.elapsed() < SHORT + Duration::from_secs(1));

            stage.server.set_fault(Fault::None);
            remote.poll(&main_branch()).await.unwrap();
            stage.server.set_fault(fault);
            let (ours, start) = (stage.ours(), Instant::now());
            let error = remote.fetch(&ours, &revision(&tip), None).await.unwrap_err();
            assert!(matches!(error, GitError::Late { .. }), "{error}");
            assert!(start.elapsed() < SHORT + Duration::from_secs(1));
            assert_eq!(files(&stage), 0);
        });
    }
}

#[test]
fn a_server_that_is_gone_is_a_matter_of_time() {
    let stage = Stage::new();
    let url = stage.server.url("fleet.git");
    drop(stage);
    let error = block(remote(&url, access()).poll(&main_branch())).unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Time);
}

#[test]
fn broken_packs_leave_nothing_behind() {
    for fault in [Fault::Truncate, Fault::Corrupt] {
        let stage = Stage::new();
        let noise = noise(50_000);
        let tip = stage.fleet.commit_file("main", "noise", &noise).unwrap();
        block(async {
            let (mut remote, ours) = (stage.remote(), stage.ours());
            stage.server.set_fault(fault.clone());
            let error = remote.fetch(&ours, &revision(&tip), None).await.unwrap_err();
            println!("{fault:?}: {error}");
            assert!(matches!(error, GitError::BrokeOff { .. } | GitError::BrokenPack { .. }), "{error}");
            assert_eq!(error.remedy(), Remedy::Time);
            assert_eq!(files(&stage), 0);
            assert!(!ours.has(&revision(&tip)));

            stage.server.set_fault(Fault::None);
            remote.fetch(&ours, &revision(&tip), None).await.unwrap();
            assert_eq!(read(&ours, &revision(&tip), "noise").unwrap(), noise);
        });
    }
}

#[test]
fn packs_over_the_limits_are_refused() {
    let stage = Stage::new();
    let noise = noise(50_000);
    let tip = stage.fleet.commit_file("main", "noise", &noise).unwrap();
    for (pack, objects) in [(20_000, 100), (1 << 20, 2)] {
        let mut access = access();
        (access.limits.pack, access.limits.objects) = (pack, objects);
        let mut remote = remote(&stage.server.url("fleet.git"), access);
        let ours = stage.ours();
        let error = block(remote.fetch(&ours, &revision(&tip), None)).unwrap_err();
        assert!(matches!(error, GitError::TooLarge { .. }), "{error}");
        assert_eq!(error.remedy(), Remedy::Author);
        assert_eq!(files(&stage), 0);
    }
}

#[test]
fn answers_without_an_end_are_cut() {
    let stage = Stage::new();
    let tip = stage.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    block(async {
        stage.server.set_fault(Fault::Endless);
        let error = stage.remote().poll(&main_branch()).await.unwrap_err();
        assert!(matches!(error, GitError::Protocol { .. }), "{error}");
        let (mut known, ours) = (stage.remote(), stage.ours());
        stage.server.set_fault(Fault::None);
        known.poll(&main_branch()).await.unwrap();
        stage.server.set_fault(Fault::Endless);
        let error = known.poll(&main_branch()).await.unwrap_err();
        assert!(matches!(error, GitError::TooLarge { .. }), "{error}");
        let error = known.fetch(&ours, &revision(&tip), None).await.unwrap_err();
        assert!(matches!(error, GitError::Protocol { .. }), "{error}");
        assert_eq!(files(&stage), 0);
    });
}

#[test]
fn a_commit_that_is_gone_is_asked_for_again_later() {
    for fault in [Fault::None, Fault::NoVersion2] {
        let stage = Stage::new();
        stage.server.set_fault(fault);
        stage.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
        let (mut remote, ours) = (stage.remote(), stage.ours());
        let error = block(remote.fetch(&ours, &revision(&"1".repeat(40)), None)).unwrap_err();
        assert!(matches!(error, GitError::Moved { .. }), "{error}");
    }
}

#[test]
fn statuses_become_remedies() {
    let stage = Stage::new();
    stage.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    for (status, lines, remedy, wait) in [
        (500, "", Remedy::Time, None),
        (503, "Retry-After: 7", Remedy::Time, Some(7)),
        (429, "Retry-After: 30", Remedy::Time, Some(30)),
        (429, "Retry-After: soon", Remedy::Time, None),
        (401, "", Remedy::Operator, None),
        (403, "", Remedy::Operator, None),
        (404, "", Remedy::Operator, None),
        (418, "", Remedy::Operator, None),
        (302, "Location: http://127.0.0.2/fleet.git/info/refs?service=git-upload-pack", Remedy::Operator, None),
        (301, "Location: /login", Remedy::Operator, None),
        (301, "Location: /fleet.git/info/refs?service=git-upload-pack", Remedy::Operator, None),
    ] {
        stage.server.set_fault(Fault::Status(status, lines.to_owned()));
        let mut access = access();
        access.credential = Credential::Bearer(SecretString::from("s3cret"));
        let error = block(remote(&stage.server.url("fleet.git"), access).poll(&main_branch())).unwrap_err();
        println!("{status}: {error} ({:?})", error.hint());
        assert_eq!(error.remedy(), remedy, "{status}: {error}");
        assert_eq!(error.retry_after(), wait.map(Duration::from_secs), "{status}");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        let loops = lines.contains("Location: /fleet");
        assert_eq!(stage.server.exchanges().len(), if loops { 4 } else { 1 }, "{status}");
    }
    stage.server.set_fault(Fault::Html);
    let error = block(stage.remote().poll(&main_branch())).unwrap_err();
    assert!(matches!(&error, GitError::NotGit { content_type, .. } if content_type == "text/html"), "{error}");
}

#[test]
fn a_redirect_within_the_host_is_followed_and_remembered() {
    let stage = Stage::new();
    let tip = stage.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    let target = "/fleet.git/info/refs?service=git-upload-pack";
    stage.server.set_fault(Fault::Status(301, format!("Location: {target}")));
    let mut remote = remote(&stage.server.url("old.git"), access());
    block(async {
        let loosened = async {
            while stage.server.exchanges().is_empty() {
                tokio::task::yield_now().await;
            }
            stage.server.set_fault(Fault::None);
        };
        let branch = main_branch();
        let (tip_seen, ()) = tokio::join!(remote.poll(&branch), loosened);
        assert_eq!(tip_seen.unwrap(), revision(&tip));
        let exchanges = stage.server.exchanges();
        assert_eq!(exchanges.last().unwrap().request, "POST /fleet.git/git-upload-pack");
    });
}

#[test]
fn a_server_that_loses_protocol_v2_is_asked_anew() {
    let stage = Stage::new();
    let tip = stage.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    block(async {
        let mut remote = stage.remote();
        remote.poll(&main_branch()).await.unwrap();
        stage.server.set_fault(Fault::NoVersion2);
        assert!(remote.poll(&main_branch()).await.is_err());
        assert_eq!(remote.poll(&main_branch()).await.unwrap(), revision(&tip));
    });
}

#[test]
fn credentials_go_to_the_server_and_nowhere_else() {
    let stage = Stage::new();
    let tip = stage.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    stage.server.demand("Basic Ym90OnMzY3JldA==");
    let url = stage.server.url("fleet.git");
    let error = block(remote(&url, access()).poll(&main_branch())).unwrap_err();
    assert!(matches!(error, GitError::Denied { .. }), "{error}");

    let mut basic = access();
    let password = SecretString::from("s3cret");
    basic.credential = Credential::Basic { username: "bot".into(), password };
    assert_eq!(block(remote(&url, basic.clone()).poll(&main_branch())).unwrap(), revision(&tip));
    let with_userinfo = url.replace("http://", "http://bot:s3cret@");
    assert_eq!(block(remote(&with_userinfo, access()).poll(&main_branch())).unwrap(), revision(&tip));
    assert!(!format!("{basic:?}").contains("s3cret"));

    stage.server.demand("Bearer t0ken");
    let error = block(remote(&with_userinfo, access()).poll(&main_branch())).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let mut bearer = access();
    bearer.credential = Credential::Bearer(SecretString::from("t0ken"));
    assert_eq!(block(remote(&url, bearer).poll(&main_branch())).unwrap(), revision(&tip));
}

#[test]
fn plain_http_to_other_machines_has_to_be_allowed() {
    let url = RemoteUrl::parse("http://git.example/fleet.git", Path::new("/")).unwrap();
    let client = transfer::client().unwrap();
    assert!(matches!(Remote::new(&url, access(), client.clone()), Err(GitError::PlainHttp { .. })));
    let mut access = access();
    access.allow_http = true;
    assert!(Remote::new(&url, access, client).is_ok());
}

#[test]
fn tls_is_checked_against_the_roots_of_the_client() {
    let directory = tempfile::tempdir().unwrap();
    let fleet = Fixture::create(&directory.path().join("fleet.git")).unwrap();
    let tip = fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    let server = GitServer::start_tls(directory.path()).unwrap();
    let error = block(remote(&server.url("fleet.git"), access()).poll(&main_branch())).unwrap_err();
    assert!(matches!(error, GitError::Certificate { .. }), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Operator);

    let ca = reqwest::Certificate::from_pem(server.ca().unwrap().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    let url = RemoteUrl::parse(&server.url("fleet.git"), Path::new("/")).unwrap();
    let mut remote = Remote::new(&url, access(), client.clone()).unwrap();
    let ours = Repository::open_or_create(&directory.path().join("ours")).unwrap();
    let (tip_seen, _) = block(update(&mut remote, &ours, None)).unwrap();
    assert_eq!(tip_seen, revision(&tip));

    let wrong_name = server.url("fleet.git").replace("127.0.0.1", "localhost");
    let url = RemoteUrl::parse(&wrong_name, Path::new("/")).unwrap();
    let error = block(Remote::new(&url, access(), client).unwrap().poll(&main_branch())).unwrap_err();
    assert!(matches!(error, GitError::Certificate { .. }), "{error:?}");
}

/// Bytes that do not pack (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_server_that_was_away_is_asked_no_more_than_before() {
    let stage = Stage::new();
    let tip = stage.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    block(async {
        let mut remote = stage.remote();
        remote.poll(&main_branch()).await.unwrap();
        assert_eq!(stage.server.exchanges().len(), 2);
        for status in [429, 502, 503, 504] {
            stage.server.set_fault(Fault::Status(status, String::new()));
            remote.poll(&main_branch()).await.unwrap_err();
            stage.server.set_fault(Fault::None);
            assert_eq!(remote.poll(&main_branch()).await.unwrap(), revision(&tip));
            assert_eq!(stage.server.exchanges().len(), 2, "one that failed and one that did not");
        }
        // Another server may stand there now.
        stage.server.set_fault(Fault::Status(500, String::new()));
        remote.poll(&main_branch()).await.unwrap_err();
        stage.server.set_fault(Fault::NoVersion2);
        assert_eq!(remote.poll(&main_branch()).await.unwrap(), revision(&tip));
    });
}
