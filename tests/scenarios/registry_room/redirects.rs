//! Redirects are followed three times, and credentials never go along.

use falconer::transfer::RedirectError;
use falconer_tests::scripted_registry::ScriptedRegistry;

use super::*;

const BLOB: &[u8] = b"content";
const SECRET: &str = "canary-secret-91bc";

/// A registry that wants a password, and for a blob then sends to `location`.
fn sends_to(location: String) -> ScriptedRegistry {
    ScriptedRegistry::start(move |seen| match &seen.authorization {
        None => Reply::challenge("Basic realm=\"x\""),
        Some(_) => Reply::redirect(&location),
    })
    .unwrap()
}

async fn blob_from(registry: &ScriptedRegistry) -> Result<Vec<u8>, Problem> {
    let host = registry.host();
    let registries = registries(&host, with_password("fleet", SECRET));
    let mut out = Vec::new();
    let fetched = registries.blob(&repository(&host), &Digest::of(BLOB), BLOB.len() as u64, MIB, &mut out).await;
    fetched.map(|()| out).map_err(|error| {
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        error.problem
    })
}

#[tokio::test]
async fn another_host_gets_the_request_but_no_credentials() {
    let storage = ScriptedRegistry::start(|_| Reply::new(200, BLOB)).unwrap();
    let registry = sends_to(format!("http://{}/bucket/blob?sig=x", storage.host()));
    assert_eq!(blob_from(&registry).await.unwrap(), BLOB);
    assert_eq!(credentials_in(&registry.seen()), 1);
    assert_eq!(storage.seen().len(), 1);
    assert_eq!(credentials_in(&storage.seen()), 0);
}

#[tokio::test]
async fn another_host_that_asks_for_credentials_gets_none() {
    for challenge in ["Basic realm=\"x\"", "Bearer realm=\"http://127.0.0.1:1/token\""] {
        let storage = ScriptedRegistry::start(move |_| Reply::challenge(challenge)).unwrap();
        let registry = sends_to(format!("http://{}/", storage.host()));
        let refused = blob_from(&registry).await.unwrap_err();
        assert!(matches!(refused, Problem::Unauthorized { sent: false }), "{refused}");
        assert_eq!((storage.seen().len(), credentials_in(&storage.seen())), (1, 0));

        // Nor does it make us show them to a registry that did not ask.
        let location = format!("http://{}/", storage.host());
        let registry = ScriptedRegistry::start(move |_| Reply::redirect(&location)).unwrap();
        assert!(matches!(blob_from(&registry).await.unwrap_err(), Problem::Unauthorized { sent: false }));
        assert_eq!((registry.seen().len(), credentials_in(&registry.seen())), (1, 0));
    }
}

#[tokio::test]
async fn the_registry_itself_keeps_the_credentials() {
    let registry = ScriptedRegistry::start(|seen| match (&seen.authorization, seen.target.as_str()) {
        (None, _) => Reply::challenge("Basic realm=\"x\""),
        (Some(_), "/elsewhere") => Reply::new(200, BLOB),
        (Some(_), _) => Reply::redirect("/elsewhere"),
    })
    .unwrap();
    assert_eq!(blob_from(&registry).await.unwrap(), BLOB);
}

#[tokio::test]
async fn a_loop_ends_after_three() {
    let registry = sends_to("/again".into());
    let refused = blob_from(&registry).await.unwrap_err();
    assert!(matches!(refused, Problem::Redirect(RedirectError::TooMany)), "{refused}");
    assert_eq!(registry.seen().len(), 5, "the challenge, and four answers");
}

#[tokio::test]
async fn redirects_that_lead_nowhere() {
    for location in ["", "http://", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://[::"] {
        let registry = ScriptedRegistry::start(move |_| match location {
            "" => Reply::new(307, ""),
            _ => Reply::redirect(location),
        })
        .unwrap();
        let refused = blob_from(&registry).await.unwrap_err();
        assert!(matches!(refused, Problem::Redirect(_)), "{location}: {refused}");
        assert_eq!(registry.seen().len(), 1);
    }
}

/// The registry has a public name that only this client can resolve, as behind a proxy.
#[tokio::test]
async fn a_public_registry_cannot_send_us_inside() {
    let inside = ScriptedRegistry::start(|_| Reply::new(200, BLOB)).unwrap();
    let port = inside.address().port();
    for target in
        [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/"), "http://169.254.169.254/".into()]
    {
        let location = target.clone();
        let registry = ScriptedRegistry::start(move |_| Reply::redirect(&location)).unwrap();
        let host = format!("registry.invalid:{}", registry.address().port());
        transfer::install_tls_provider();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .resolve("registry.invalid", registry.address())
            .build()
            .unwrap();
        let registries = Registries::new(client, BTreeMap::from([(host.clone(), plain())])).with_limits(short());
        let refused = problem(registries.blob(&repository(&host), &Digest::of(BLOB), 7, MIB, &mut Vec::new()).await);
        assert!(matches!(refused, Problem::Redirect(RedirectError::Private { .. })), "{target}: {refused}");
    }
    assert!(inside.seen().is_empty());
}

#[tokio::test]
async fn the_next_page_of_tags_is_on_the_same_host() {
    let elsewhere = ScriptedRegistry::start(|_| Reply::ok("application/json", r#"{"tags":["2"]}"#)).unwrap();
    let link = format!("<http://{}/v2/acme/rules/tags/list>; rel=\"next\"", elsewhere.host());
    let registry =
        ScriptedRegistry::start(move |_| Reply::ok("application/json", r#"{"tags":["1"]}"#).header("Link", &link))
            .unwrap();
    let host = registry.host();
    let refused = problem(registries(&host, plain()).tags(&repository(&host)).await);
    assert!(matches!(refused, Problem::Steered { .. }), "{refused}");
    assert!(elsewhere.seen().is_empty());
}

/// One deadline spans the redirects too.
#[tokio::test]
async fn the_deadline_spans_redirects() {
    let storage = ScriptedRegistry::start(|_| Reply::silence()).unwrap();
    let registry = sends_to(format!("http://{}/", storage.host()));
    let host = registry.host();
    let limits = Limits { blob_time: Duration::from_millis(300), ..short() };
    let registries = registries(&host, with_password("fleet", SECRET)).with_limits(limits);
    let late = problem(registries.blob(&repository(&host), &Digest::of(BLOB), 7, MIB, &mut Vec::new()).await);
    assert!(matches!(late, Problem::Late(_)), "{late}");
}
