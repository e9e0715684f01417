//! A registry that gives other bytes, other lengths, too much, or something that is no manifest at all.

use falconer::registry::{Fetched, Missing};
use falconer_manifests::remedy::Remedy;
use falconer_tests::scripted_registry::ScriptedRegistry;

use super::*;

const BLOB: &[u8] = b"thirty-two bytes of some content";

async fn manifest_from(server: &ScriptedRegistry, wanted: &TagOrDigest) -> Result<Fetched, RegistryError> {
    registries(&server.host(), plain()).manifest(&repository(&server.host()), wanted).await
}

/// Fetches [`BLOB`], and gives what was written too.
async fn blob_from(server: &ScriptedRegistry) -> (Result<(), RegistryError>, Vec<u8>) {
    let mut out = Vec::new();
    let (host, size) = (server.host(), BLOB.len() as u64);
    let registries = registries(&host, plain());
    let result = registries.blob(&repository(&host), &Digest::of(BLOB), size, MIB, &mut out).await;
    (result, out)
}

#[tokio::test]
async fn a_manifest_that_is_not_what_its_digest_names() {
    let server = ScriptedRegistry::start(|_| good_manifest()).unwrap();
    let wanted = Digest::of(b"another manifest");
    let error = manifest_from(&server, &TagOrDigest::Digest(wanted.clone())).await.unwrap_err();
    assert!(error.to_string().contains(&format!("{}/acme/rules@{wanted}", server.host())), "{error}");
    assert_eq!(error.remedy(), Remedy::Time);
    match error.problem {
        Problem::WrongDigest { expected, got } => assert_eq!((expected, got), (wanted, Digest::of(&manifest()))),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_manifest_that_is_not_what_the_registry_states() {
    let other = Digest::of(b"x").to_string();
    let server = ScriptedRegistry::start(move |_| good_manifest().header("Docker-Content-Digest", &other)).unwrap();
    let lie = problem(manifest_from(&server, &tag("1")).await);
    assert!(matches!(lie, Problem::WrongDigest { .. }), "{lie}");

    // Another algorithm, or nonsense, is no statement; the digest is the one computed here.
    for stated in ["sha512:00", "nonsense"] {
        let server = ScriptedRegistry::start(|_| good_manifest().header("Docker-Content-Digest", stated)).unwrap();
        assert_eq!(manifest_from(&server, &tag("1")).await.unwrap().digest, Digest::of(&manifest()));
        let registries = registries(&server.host(), plain());
        assert_eq!(registries.head(&repository(&server.host()), &tag("1")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_manifest_without_end_or_of_400_mib() {
    // With an announced length nothing of the body is read; what counts then are the kernel's buffers alone.
    for (announced, taken) in [(None, 4 * MIB), (Some(400 * MIB), 0), (Some(u64::MAX / 4), 0)] {
        let reply = move || Reply::endless(announced).header("Content-Type", oci::MANIFEST);
        let server = ScriptedRegistry::start(move |_| reply()).unwrap();
        let lie = problem(manifest_from(&server, &tag("1")).await);
        assert!(matches!(lie, Problem::TooLong { cap } if cap == 4 * MIB), "{lie}");
        assert_eq!(server.seen().len(), 1);
        assert!(server.sent() <= taken + KERNEL_BUFFERS, "{announced:?}: {}", server.sent());
    }
}

/// What is announced as too long is not waited for.
#[tokio::test]
async fn an_announced_length_is_enough_to_refuse() {
    let server = ScriptedRegistry::start(|_| Reply::stall(400 * MIB, "begin")).unwrap();
    assert!(matches!(problem(manifest_from(&server, &tag("1")).await), Problem::TooLong { .. }));
    let (result, written) = blob_from(&server).await;
    assert!(matches!(problem(result), Problem::WrongSize { got: Some(got), .. } if got == 400 * MIB));
    assert!(written.is_empty());
}

#[tokio::test]
async fn a_page_instead_of_a_manifest() {
    let server = ScriptedRegistry::start(|_| Reply::ok("text/html", "<html>log in</html>")).unwrap();
    let error = manifest_from(&server, &tag("1")).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Unusable(_)), "{error}");
    assert!(error.to_string().contains("text/html"), "{error}");
    assert!(error.hint().unwrap().contains("portal"));
    let host = server.host();
    let lie = problem(registries(&host, plain()).tags(&repository(&host)).await);
    assert!(matches!(lie, Problem::Unusable(_)), "{lie}");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    for (code, missing) in
        [("MANIFEST_UNKNOWN", Missing::Manifest), ("NAME_UNKNOWN", Missing::Repository), ("", Missing::Manifest)]
    {
        let document = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
        let server = ScriptedRegistry::start(move |_| Reply::new(404, document.clone())).unwrap();
        let error = problem(manifest_from(&server, &tag("1")).await);
        assert!(matches!(error, Problem::NotFound(what) if what == missing), "{code}: {error}");
    }
}

#[tokio::test]
async fn a_blob_of_other_bytes_or_another_length() {
    let changed = BLOB.to_ascii_uppercase();
    let server = ScriptedRegistry::start(move |_| Reply::new(200, changed.clone())).unwrap();
    assert!(matches!(problem(blob_from(&server).await.0), Problem::WrongDigest { .. }));

    for (length, announced) in [(31, 31), (33, 33)] {
        let server = ScriptedRegistry::start(move |_| Reply::new(200, vec![0; length])).unwrap();
        let (result, written) = blob_from(&server).await;
        let lie = problem(result);
        assert!(matches!(lie, Problem::WrongSize { expected: 32, got: Some(got) } if got == announced), "{lie}");
        assert!(written.is_empty());
    }
}

#[tokio::test]
async fn a_blob_that_breaks_off() {
    let server = ScriptedRegistry::start(|_| Reply::announcing(32, &BLOB[..20])).unwrap();
    let (result, written) = blob_from(&server).await;
    assert!(matches!(problem(result), Problem::Broken(_)));
    assert_eq!(written, BLOB[..20], "what earlier attempts wrote is taken back");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_manifest_that_breaks_off_is_asked_for_again() {
    let server = ScriptedRegistry::start(|_| Reply::announcing(9_999, manifest())).unwrap();
    assert!(matches!(problem(manifest_from(&server, &tag("1")).await), Problem::Broken(_)));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_blob_without_end() {
    let server = ScriptedRegistry::start(|_| Reply::endless(None)).unwrap();
    let (result, written) = blob_from(&server).await;
    let lie = problem(result);
    assert!(matches!(lie, Problem::WrongSize { expected: 32, got: None }), "{lie}");
    assert!(written.len() <= 32);
    assert!(server.sent() <= KERNEL_BUFFERS, "{}", server.sent());

    let server = ScriptedRegistry::start(|_| Reply::endless(Some(400 * MIB))).unwrap();
    let (result, written) = blob_from(&server).await;
    assert!(matches!(problem(result), Problem::WrongSize { expected: 32, got: Some(_) }));
    assert!(written.is_empty());
    assert!(server.sent() <= KERNEL_BUFFERS, "{}", server.sent());
}

#[tokio::test]
async fn an_error_document_without_end() {
    let server = ScriptedRegistry::start(|_| Reply::endless(None).status(404)).unwrap();
    assert!(matches!(problem(manifest_from(&server, &tag("1")).await), Problem::NotFound(Missing::Manifest)));
    assert!(server.sent() <= KERNEL_BUFFERS, "{}", server.sent());
}

#[tokio::test]
async fn tags_without_end() {
    // Each page has one tag and a link to the next one.
    let server = ScriptedRegistry::start(|seen| {
        let page: u32 = seen.target.rsplit('=').next().and_then(|page| page.parse().ok()).unwrap_or_default();
        Reply::ok("application/json", format!(r#"{{"tags":["{page}"]}}"#))
            .header("Link", &format!(r#"</v2/acme/rules/tags/list?last={}>; rel="next""#, page + 1))
    })
    .unwrap();
    let host = server.host();
    let limits = Limits { tags: 30, ..short() };
    let registries = registries(&host, plain()).with_limits(limits);
    let lie = problem(registries.tags(&repository(&host)).await);
    assert!(matches!(lie, Problem::TooManyTags { cap: 30 }), "{lie}");
    assert_eq!(server.seen().len(), 31);

    for body in [r#"{"tags":[]}"#, r#"{"tags":null}"#] {
        let server = ScriptedRegistry::start(move |_| {
            Reply::ok("application/json", body).header("Link", r#"</v2/again>; rel="next""#)
        })
        .unwrap();
        let host = server.host();
        let lie = problem(super::registries(&host, plain()).tags(&repository(&host)).await);
        assert!(matches!(lie, Problem::Unusable(_)), "{lie}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn tags_over_several_pages() {
    let server = ScriptedRegistry::start(|seen| match seen.target.as_str() {
        "/v2/acme/rules/tags/list?n=1000" => Reply::ok("application/json", r#"{"name":"acme/rules","tags":["1","2"]}"#)
            .header("Link", r#"</v2/acme/rules/tags/list?last=2&n=1000>; rel="next""#),
        "/v2/acme/rules/tags/list?last=2&n=1000" => Reply::ok("application/json", r#"{"tags":["3"]}"#),
        other => panic!("{other}"),
    })
    .unwrap();
    let host = server.host();
    let tags = registries(&host, plain()).tags(&repository(&host)).await.unwrap();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["1", "2", "3"]);
}
