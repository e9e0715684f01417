//! A registry that is slow, busy, broken or away.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use falconer_manifests::remedy::Remedy;
use falconer_tests::scripted_registry::ScriptedRegistry;

use super::*;

/// Answers with the replies one after the other, then for ever with the last.
fn one_after_the_other(replies: Vec<Reply>) -> ScriptedRegistry {
    let next = AtomicU32::new(0);
    ScriptedRegistry::start(move |_| {
        let at = next.fetch_add(1, Ordering::SeqCst) as usize;
        replies[at.min(replies.len() - 1)].clone()
    })
    .unwrap()
}

async fn manifest_with(server: &ScriptedRegistry, limits: Limits) -> Result<(), RegistryError> {
    let host = server.host();
    let registries = registries(&host, plain()).with_limits(limits);
    registries.manifest(&repository(&host), &tag("1")).await.map(drop)
}

async fn blob_with(server: &ScriptedRegistry, limits: Limits) -> Problem {
    let host = server.host();
    let registries = registries(&host, plain()).with_limits(limits);
    problem(registries.blob(&repository(&host), &Digest::of(b"x"), 9_999, MIB, &mut Vec::new()).await)
}

#[tokio::test]
async fn busy_and_broken_registries_are_asked_again() {
    let garbage = "141.62µs, allowed: 44000/minute";
    for first in [
        vec![Reply::new(429, "").header("Retry-After", garbage)],
        vec![Reply::new(429, "").header("Retry-After", "0"), Reply::new(500, "")],
        vec![Reply::new(503, ""), Reply::hangup(), Reply::new(502, "")],
        vec![Reply::announcing(9_999, "x")],
    ] {
        let requests = first.len() + 1;
        let server = one_after_the_other([first, vec![good_manifest()]].concat());
        manifest_with(&server, short()).await.unwrap();
        assert_eq!(server.seen().len(), requests);
    }
}

#[tokio::test]
async fn four_attempts_are_all() {
    for (reply, status) in [(Reply::new(500, ""), 500), (Reply::new(429, ""), 429)] {
        let server = one_after_the_other(vec![reply]);
        let error = manifest_with(&server, short()).await.unwrap_err();
        assert!(matches!(error.problem, Problem::Status(got) if got == status), "{error}");
        assert_eq!(error.remedy(), Remedy::Time);
        assert_eq!(server.seen().len(), 4);
    }
    // What another attempt would not change is not asked again.
    for status in [400, 403, 404, 405, 410] {
        let server = one_after_the_other(vec![Reply::new(status, "")]);
        assert!(manifest_with(&server, short()).await.is_err());
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_wait_that_the_registry_asks_for_is_kept() {
    let server = one_after_the_other(vec![Reply::new(429, "").header("Retry-After", "1"), good_manifest()]);
    let start = Instant::now();
    manifest_with(&server, short()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));

    // A wait beyond the deadline is not begun.
    let server = one_after_the_other(vec![Reply::new(503, "").header("Retry-After", "50"), good_manifest()]);
    let start = Instant::now();
    let error = manifest_with(&server, short()).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Status(_)), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_drip_ends_at_the_minimum_rate() {
    let server = ScriptedRegistry::start(|_| Reply::drip(vec![0; 9_999], 20)).unwrap();
    let problem = blob_with(&server, pace(1024, Duration::from_millis(400))).await;
    assert!(matches!(problem, Problem::TooSlow(_)), "{problem}");
    assert!(server.sent() < 1024);
}

#[tokio::test]
async fn a_drip_that_keeps_the_rate_ends_at_the_deadline() {
    let server = ScriptedRegistry::start(|_| Reply::drip(vec![0; 9_999], 20)).unwrap();
    let limits = Limits { blob_time: Duration::from_millis(700), ..pace(2, Duration::from_millis(200)) };
    let problem = blob_with(&server, limits).await;
    assert!(matches!(problem, Problem::Late(_)), "{problem}");

    let limits = Limits { manifest_time: Duration::from_millis(400), ..short() };
    let late = manifest_with(&server, limits).await.unwrap_err();
    assert!(matches!(late.problem, Problem::Late(_)), "{late}");
}

#[tokio::test]
async fn a_stalled_body_and_a_silent_registry() {
    let limits = pace(1, Duration::from_millis(200));
    let server = ScriptedRegistry::start(|_| Reply::stall(9_999, "begin")).unwrap();
    assert!(matches!(blob_with(&server, limits).await, Problem::TooSlow(_)));
    assert_eq!(server.seen().len(), 1);

    let server = ScriptedRegistry::start(|_| Reply::silence()).unwrap();
    assert!(matches!(blob_with(&server, limits).await, Problem::Silent { .. }));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn nobody_listens() {
    let server = ScriptedRegistry::start(|_| Reply::hangup()).unwrap();
    let host = server.host();
    drop(server);
    let error = registries(&host, plain()).manifest(&repository(&host), &tag("1")).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Unreachable { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Time);
    assert_eq!(error.to_string(), format!("{host}/acme/rules:1: cannot reach {host}"));
}
