//! A mirror is asked first, and never believed more than the digest.

use falconer::registry::Mirror;

use super::*;

const BLOB: &[u8] = b"a blob";

fn mirrored(mirror: &str) -> Access {
    Access { mirror: Some(Mirror::parse(mirror).unwrap()), ..basic("origin") }
}

/// A server with the manifest and the blob, wherever it is asked for them.
fn whole() -> ScriptedRegistry {
    ScriptedRegistry::start(|seen| match &seen.target {
        target if target.contains("/blobs/") => Reply::new(200, BLOB),
        target if target.contains("/tags/") => Reply::ok("application/json", r#"{"tags":["1"]}"#),
        _ => good_manifest(),
    })
    .unwrap()
}

async fn blob(registries: &Registries, host: &str) -> Result<Vec<u8>, RegistryError> {
    let mut out = Vec::new();
    let size = BLOB.len() as u64;
    registries.blob(&repository(host, "acme/rules"), &Digest::of(BLOB), size, 99, &mut out).await?;
    Ok(out)
}

#[tokio::test]
async fn the_mirror_alone_is_asked_for_content() {
    let (origin, mirror) = (whole(), whole());
    let host = origin.host();
    let registries = registries([(&host, mirrored(&format!("{}/proxy", mirror.host()))), (&mirror.host(), plain())]);
    let fetched = registries.manifest(&repository(&host, "acme/rules"), &tag("1")).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(&manifest()));
    assert_eq!(blob(&registries, &host).await.unwrap(), BLOB);
    assert!(origin.seen().is_empty());
    let blob = format!("/v2/proxy/acme/rules/blobs/{}", Digest::of(BLOB));
    assert_eq!(targets(&mirror.seen()), ["/v2/proxy/acme/rules/manifests/1", &blob]);
    // What tags there are, only the registry knows.
    assert_eq!(registries.tags(&repository(&host, "acme/rules")).await.unwrap().len(), 1);
    assert_eq!((origin.seen().len(), mirror.seen().len()), (1, 2));
}

#[tokio::test]
async fn what_the_mirror_cannot_give_the_registry_gives() {
    let half = Reply::announcing(BLOB.len() as u64, &BLOB[..3]);
    for reply in [
        Reply::new(404, ""),
        Reply::new(401, ""),
        Reply::new(503, ""),
        Reply::hangup(),
        Reply::new(200, b"a lie!"),
        half,
    ] {
        let (origin, mirror) = (whole(), ScriptedRegistry::start(move |_| reply.clone()).unwrap());
        let host = origin.host();
        let registries = registries([(&host, mirrored(&mirror.host())), (&mirror.host(), plain())]);
        assert_eq!(blob(&registries, &host).await.unwrap(), BLOB);
        assert!(!mirror.seen().is_empty());
        let by_digest = TagOrDigest::Digest(Digest::of(&manifest()));
        let fetched = registries.manifest(&repository(&host, "acme/rules"), &by_digest).await.unwrap();
        assert_eq!(fetched.bytes, manifest());
    }
}

#[tokio::test]
async fn a_mirror_that_is_away_is_passed_over_for_a_while() {
    let (origin, mirror) = (whole(), ScriptedRegistry::start(|_| Reply::hangup()).unwrap());
    let host = origin.host();
    let registries = registries([(&host, mirrored(&mirror.host())), (&mirror.host(), plain())]);
    for _ in 0..5 {
        blob(&registries, &host).await.unwrap();
    }
    assert_eq!((mirror.seen().len(), origin.seen().len()), (2, 5), "two attempts, then no more");
}

#[tokio::test]
async fn a_registry_that_is_away_leaves_its_mirror() {
    let (host, mirror) = (dead_host(), whole());
    let registries = registries([(&host, mirrored(&mirror.host())), (&mirror.host(), plain())]);
    assert_eq!(blob(&registries, &host).await.unwrap(), BLOB);
    assert_eq!(registries.tags(&repository(&host, "acme/rules")).await.unwrap().len(), 1);

    let missing = ScriptedRegistry::start(|_| Reply::new(404, "")).unwrap();
    let access = [(host.as_str(), mirrored(&missing.host())), (&missing.host(), plain())];
    let error = super::registries(access).manifest(&repository(&host, "acme/rules"), &tag("1")).await.unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with(&format!("{host}/acme/rules:1: cannot reach")), "{said}");
    assert!(said.contains(&format!("{}/acme/rules:1: there is no such tag", missing.host())), "{said}");
}

/// Each of the two sees its own credentials only.
#[tokio::test]
async fn credentials_of_the_mirror_are_its_own() {
    let asks = || {
        ScriptedRegistry::start(|seen| match &seen.authorization {
            Some(_) => good_manifest(),
            None => Reply::challenge("Basic realm=\"x\""),
        })
        .unwrap()
    };
    let (origin, mirror) = (asks(), asks());
    let host = origin.host();
    let registries = registries([(&host, mirrored(&mirror.host())), (&mirror.host(), plain())]);
    registries.manifest(&repository(&host, "acme/rules"), &tag("1")).await.unwrap();
    assert!(mirror.seen().iter().all(|seen| seen.authorization.is_none()));
    // `origin:canary-secret-c01d`
    let shown: Vec<_> = origin.seen().into_iter().filter_map(|seen| seen.authorization).collect();
    assert_eq!(shown, ["Basic b3JpZ2luOmNhbmFyeS1zZWNyZXQtYzAxZA=="]);

    let registries = super::registries([(&host, mirrored(&mirror.host())), (&mirror.host(), basic("mirror"))]);
    let before = origin.seen().len();
    registries.manifest(&repository(&host, "acme/rules"), &tag("1")).await.unwrap();
    // `mirror:canary-secret-c01d`
    let shown = mirror.seen().pop().unwrap().authorization.unwrap();
    assert_eq!(shown, "Basic bWlycm9yOmNhbmFyeS1zZWNyZXQtYzAxZA==");
    assert_eq!(origin.seen().len(), before);
}
