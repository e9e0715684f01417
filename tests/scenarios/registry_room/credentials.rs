//! Who gets to see credentials, and how often tokens are asked for.

use std::sync::atomic::{AtomicU32, Ordering};

use falconer_manifests::remedy::Remedy;
use falconer_tests::scripted_registry::ScriptedRegistry;

use super::*;

const SECRET: &str = "canary-secret-c01d";
/// `fleet:canary-secret-c01d`.
const BASIC: &str = "Basic ZmxlZXQ6Y2FuYXJ5LXNlY3JldC1jMDFk";

/// A challenge whose scope asks for more than a pull of our repository.
fn challenge(realm: &str) -> Reply {
    Reply::challenge(&format!("Bearer realm=\"{realm}\",service=\"registry\",scope=\"repository:other/one:pull,push\""))
}

fn token(name: &str, expires_in: u64) -> Reply {
    Reply::ok("application/json", format!(r#"{{"token":"{name}","expires_in":{expires_in}}}"#))
}

/// A registry with its own token server: it takes only the token that it gave last.
fn with_own_tokens(expires_in: u64) -> ScriptedRegistry {
    let given = AtomicU32::new(0);
    ScriptedRegistry::start(move |seen| {
        if seen.target.starts_with("/token") {
            return token(&format!("t{}", given.fetch_add(1, Ordering::SeqCst) + 1), expires_in);
        }
        let good = format!("Bearer t{}", given.load(Ordering::SeqCst));
        match &seen.authorization {
            Some(shown) if *shown == good => good_manifest(),
            _ => challenge(&format!("http://{}/token", seen.host)),
        }
    })
    .unwrap()
}

/// A registry that names `realm` and takes no token but `Bearer t`.
fn with_realm(realm: String) -> ScriptedRegistry {
    ScriptedRegistry::start(move |seen| match seen.authorization.as_deref() {
        Some("Bearer t") => good_manifest(),
        _ => challenge(&realm),
    })
    .unwrap()
}

async fn ask(registries: &Registries, host: &str) -> Result<(), RegistryError> {
    let answer = registries.manifest(&repository(host), &tag("1")).await;
    answer.map(drop).inspect_err(|error| assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}"))
}

fn targets(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|request| request.target.as_str()).collect()
}

#[tokio::test]
async fn a_token_is_used_until_it_expires() {
    let server = with_own_tokens(300);
    let host = server.host();
    let registries = registries(&host, with_password("fleet", SECRET));
    for _ in 0..3 {
        ask(&registries, &host).await.unwrap();
    }
    let seen = server.seen();
    let manifest = "/v2/acme/rules/manifests/1";
    let token = "/token?service=registry&scope=repository%3Aacme%2Frules%3Apull";
    assert_eq!(targets(&seen), [manifest, token, manifest, manifest, manifest]);
    let shown: Vec<_> = seen.iter().map(|request| request.authorization.as_deref()).collect();
    assert_eq!(shown, [None, Some(BASIC), Some("Bearer t1"), Some("Bearer t1"), Some("Bearer t1")]);

    // Another repository has another token.
    let other = Repository { name: "acme/other".into(), ..repository(&host) };
    registries.manifest(&other, &tag("1")).await.unwrap();
    assert!(targets(&server.seen()).contains(&"/token?service=registry&scope=repository%3Aacme%2Fother%3Apull"));
}

#[tokio::test]
async fn a_token_without_life_is_not_used_again() {
    let server = with_own_tokens(0);
    let host = server.host();
    let registries = registries(&host, plain());
    for _ in 0..2 {
        ask(&registries, &host).await.unwrap();
    }
    assert_eq!(server.seen().iter().filter(|request| request.target.starts_with("/token")).count(), 2);
}

/// The registry forgets the token before its time: one new token, no more.
#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = with_own_tokens(300);
    let host = server.host();
    let registries = registries(&host, plain());
    ask(&registries, &host).await.unwrap();
    let other = Repository { name: "acme/other".into(), ..repository(&host) };
    registries.manifest(&other, &tag("1")).await.unwrap();
    ask(&registries, &host).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|request| request.target.starts_with("/token")).count(), 3);
}

#[tokio::test]
async fn a_registry_that_always_refuses() {
    let server = ScriptedRegistry::start(|seen| match seen.target.starts_with("/token") {
        true => token("t", 300),
        false => challenge(&format!("http://{}/token", seen.host)),
    })
    .unwrap();
    let host = server.host();
    let error = ask(&registries(&host, with_password("fleet", SECRET)), &host).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Unauthorized { sent: true }), "{error}");
    assert_eq!(error.remedy(), Remedy::Operator);
    assert_eq!(server.seen().len(), 3, "the first request, the token, and one more");

    let server = ScriptedRegistry::start(|_| Reply::challenge("Basic realm=\"x\"")).unwrap();
    let host = server.host();
    let error = ask(&registries(&host, with_password("fleet", SECRET)), &host).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Unauthorized { sent: true }), "{error}");
    assert_eq!(server.seen().len(), 2);
    let error = ask(&registries(&host, plain()), &host).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Unauthorized { sent: false }), "{error}");
}

#[tokio::test]
async fn a_foreign_realm_gets_no_credentials() {
    let foreign = ScriptedRegistry::start(|_| token("t", 300)).unwrap();
    let realm = format!("http://{}/token", foreign.host());
    let server = with_realm(realm.clone());
    let host = server.host();
    let error = ask(&registries(&host, with_password("fleet", SECRET)), &host).await.unwrap_err();
    assert!(matches!(&error.problem, Problem::ForeignRealm { host } if *host == foreign.host()), "{error}");
    assert!(error.hint().unwrap().contains("token_realms"));
    assert!(foreign.seen().is_empty());

    // Anonymously it may be asked, and with credentials where the settings say so.
    ask(&registries(&host, plain()), &host).await.unwrap();
    assert_eq!(credentials_in(&foreign.seen()), 0);
    let allowed = Access { token_realms: vec![foreign.host()], ..with_password("fleet", SECRET) };
    ask(&registries(&host, allowed), &host).await.unwrap();
    assert_eq!(foreign.seen().last().unwrap().authorization.as_deref(), Some(BASIC));
}

#[tokio::test]
async fn a_realm_with_user_information_or_another_scheme() {
    let foreign = ScriptedRegistry::start(|_| token("t", 300)).unwrap();
    let server = with_realm(format!("http://eve:pw@{}/token", foreign.host()));
    ask(&registries(&server.host(), plain()), &server.host()).await.unwrap();
    assert_eq!(credentials_in(&foreign.seen()), 0);

    for realm in ["ftp://127.0.0.1/", "file:///etc/passwd", "token"] {
        let server = with_realm(realm.to_owned());
        let error = ask(&registries(&server.host(), plain()), &server.host()).await.unwrap_err();
        assert!(matches!(error.problem, Problem::Steered { .. }), "{realm}: {error}");
    }
}

#[tokio::test]
async fn a_token_server_in_trouble_is_named() {
    let dead = ScriptedRegistry::start(|_| Reply::hangup()).unwrap();
    let dead_host = dead.host();
    drop(dead);
    let server = with_realm(format!("http://{dead_host}/token"));
    let error = ask(&registries(&server.host(), plain()), &server.host()).await.unwrap_err();
    assert!(matches!(&error.problem, Problem::TokenServerUnreachable { host, .. } if *host == dead_host), "{error}");

    for (reply, requests) in [
        (Reply::new(500, ""), 4),
        (Reply::new(200, "<html>"), 1),
        (Reply::new(200, r#"{"token":""}"#), 1),
        (Reply::new(200, r#"{"token":"a\nb"}"#), 1),
        (Reply::redirect("http://127.0.0.1:1/"), 1),
        (Reply::endless(None), 1),
        (Reply::endless(Some(400 * MIB)), 1),
    ] {
        let tokens = ScriptedRegistry::start(move |_| reply.clone()).unwrap();
        let server = with_realm(format!("http://{}/token", tokens.host()));
        let error = ask(&registries(&server.host(), plain()), &server.host()).await.unwrap_err();
        assert!(matches!(&error.problem, Problem::TokenServer { .. }), "{error}");
        assert_eq!(tokens.seen().len(), requests, "{error}");
        assert!(tokens.sent() <= KERNEL_BUFFERS + MIB);
    }
}

#[tokio::test]
async fn tokens_of_other_kinds() {
    // A bearer token of the settings goes to the registry as it is.
    let server = with_realm("http://127.0.0.1:1/token".to_owned());
    let access = Access { credentials: Some(Credentials::Token("t".into())), ..plain() };
    ask(&registries(&server.host(), access), &server.host()).await.unwrap();
    assert_eq!(server.seen().len(), 2);

    // An identity token is changed into a bearer token.
    let server = ScriptedRegistry::start(|seen| match seen.target.as_str() {
        "/token" => Reply::ok("application/json", r#"{"access_token":"t"}"#),
        _ if seen.authorization.as_deref() == Some("Bearer t") => good_manifest(),
        _ => challenge(&format!("http://{}/token", seen.host)),
    })
    .unwrap();
    let access = Access { credentials: Some(Credentials::IdentityToken(SECRET.into())), ..plain() };
    ask(&registries(&server.host(), access), &server.host()).await.unwrap();
    let asked = server.seen().into_iter().find(|request| request.method == "POST").unwrap();
    assert_eq!(
        String::from_utf8(asked.body).unwrap(),
        format!(
            "service=registry&scope=repository%3Aacme%2Frules%3Apull&grant_type=refresh_token&client_id=falconer&\
             refresh_token={SECRET}"
        )
    );
}

/// A push shows its credentials to the registry only, wherever that wants the blob to go.
#[tokio::test]
async fn an_upload_that_is_steered_elsewhere() {
    let elsewhere = ScriptedRegistry::start(|_| Reply::new(201, "")).unwrap();
    let location = format!("http://{}/upload", elsewhere.host());
    let server = ScriptedRegistry::start(move |seen| match (seen.method.as_str(), &seen.authorization) {
        ("HEAD", _) => Reply::new(404, ""),
        (_, None) => Reply::challenge("Basic realm=\"x\""),
        _ => Reply::new(202, "").header("Location", &location),
    })
    .unwrap();
    let host = server.host();
    let registries = registries(&host, with_password("fleet", SECRET));
    let error = registries.push(&repository(&host), &packed("1.0.0"), &[]).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Steered { .. }), "{error}");
    assert!(elsewhere.seen().is_empty());
}

/// A registry that keeps another manifest under the tag than the one that was put.
#[tokio::test]
async fn a_push_that_does_not_arrive_is_noticed() {
    for stated in [None, Some(Digest::of(b"another").to_string())] {
        let server = ScriptedRegistry::start(move |seen| {
            let manifest = good_manifest();
            match (seen.method.as_str(), &stated, seen.target.contains("/blobs/")) {
                ("HEAD", _, true) => Reply::new(200, ""),
                ("HEAD", Some(stated), false) => manifest.header("Docker-Content-Digest", stated),
                ("PUT", ..) => Reply::new(201, ""),
                _ => manifest,
            }
        })
        .unwrap();
        let host = server.host();
        let packed = packed("1.0.0");
        let tags = [Tag::parse("1").unwrap()];
        let lie = problem(registries(&host, plain()).push(&repository(&host), &packed, &tags).await);
        assert!(matches!(&lie, Problem::WrongDigest { expected, .. } if *expected == packed.manifest.digest), "{lie}");
        let put = server.seen().into_iter().find(|request| request.method == "PUT").unwrap();
        assert_eq!(put.body, packed.manifest.bytes);
    }
}
