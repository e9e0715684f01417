//! Tokens that have to be asked for: whom, how often, and what is shown for them.

use std::sync::atomic::{AtomicU32, Ordering};

use falconer::registry::{ClientCredentials, Credentials};
use url::Url;

use super::*;

fn json(text: &str) -> Reply {
    Reply::ok("application/json", text)
}

/// A registry that takes what `takes` says of an Authorization, and asks others for a token of its own server.
fn registry(takes: impl Fn(&str) -> bool + Send + Sync + 'static) -> ScriptedRegistry {
    ScriptedRegistry::start(move |seen| match &seen.authorization {
        Some(shown) if takes(shown) => good_manifest(),
        _ => Reply::challenge(&format!("Bearer realm=\"http://{}/token\",service=\"r\"", seen.host)),
    })
    .unwrap()
}

fn client_of(server: &ScriptedRegistry) -> Credentials {
    Credentials::Client(ClientCredentials {
        token_url: Url::parse(&format!("http://{}/oauth2", server.host())).unwrap(),
        client_id: "fleet:1".into(),
        client_secret: SECRET.into(),
        scopes: vec!["a".into(), "b c".into()],
    })
}

async fn ask(registries: &Registries, host: &str, name: &str) -> Result<(), RegistryError> {
    let answer = registries.manifest(&repository(host, name), &tag("1")).await;
    answer.map(drop).inspect_err(|error| assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}"))
}

/// An authorization server that gives `t1`, `t2`…
fn authorization_server(life: u64, in_body: bool) -> ScriptedRegistry {
    let given = AtomicU32::new(0);
    ScriptedRegistry::start(move |seen| {
        if in_body && seen.authorization.is_some() {
            return Reply::new(401, r#"{"error":"invalid_client"}"#);
        }
        let number = given.fetch_add(1, Ordering::SeqCst) + 1;
        json(&format!(r#"{{"access_token":"t{number}","token_type":"bearer","expires_in":{life}}}"#))
    })
    .unwrap()
}

#[tokio::test]
async fn a_client_gets_a_token_for_the_whole_registry() {
    let tokens = authorization_server(300, false);
    let server = registry(|shown| shown == "Bearer t1");
    let host = server.host();
    let registries = registries([(&host, with(client_of(&tokens)))]);
    for name in ["acme/rules", "acme/rules", "acme/other"] {
        ask(&registries, &host, name).await.unwrap();
    }
    let asked = tokens.seen();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].method, "POST");
    assert_eq!(String::from_utf8_lossy(&asked[0].body), "grant_type=client_credentials&scope=a+b+c");
    // `fleet%3A1:canary-secret-c01d`
    assert_eq!(asked[0].authorization.as_deref(), Some("Basic ZmxlZXQlM0ExOmNhbmFyeS1zZWNyZXQtYzAxZA=="));
    assert!(server.seen().iter().filter_map(|seen| seen.authorization.as_deref()).all(|shown| shown == "Bearer t1"));
    assert_eq!(server.seen().len(), 4, "one refusal, three answers");
}

#[tokio::test]
async fn a_server_that_wants_the_client_in_the_body() {
    let tokens = authorization_server(300, true);
    let server = registry(|shown| shown == "Bearer t1");
    let host = server.host();
    ask(&registries([(&host, with(client_of(&tokens)))]), &host, "acme/rules").await.unwrap();
    let body = String::from_utf8(tokens.seen()[1].body.clone()).unwrap();
    assert_eq!(body, format!("grant_type=client_credentials&scope=a+b+c&client_id=fleet%3A1&client_secret={SECRET}"));
}

#[tokio::test]
async fn a_client_s_token_that_has_expired_or_is_refused_is_replaced() {
    let tokens = authorization_server(0, false);
    let server = registry(|shown| shown.starts_with("Bearer t"));
    let host = server.host();
    let registries = registries([(&host, with(client_of(&tokens)))]);
    for _ in 0..2 {
        ask(&registries, &host, "acme/rules").await.unwrap();
    }
    assert_eq!(tokens.seen().len(), 2);

    let tokens = authorization_server(300, false);
    let server = registry(|shown| shown == "Bearer t2");
    let host = server.host();
    let registries = super::registries([(&host, with(client_of(&tokens)))]);
    let refused = problem(registries.manifest(&repository(&host, "acme/rules"), &tag("1")).await);
    assert!(matches!(refused, Problem::Unauthorized { sent: true }), "{refused}");
    ask(&registries, &host, "acme/rules").await.unwrap();
    assert_eq!(tokens.seen().len(), 2);
}

#[tokio::test]
async fn an_authorization_server_that_refuses() {
    for (reply, refused) in [
        (Reply::new(401, SECRET), true),
        (Reply::new(400, r#"{"error":"invalid_client"}"#), true),
        (Reply::new(404, ""), false),
        (json(r#"{"access_token":5}"#), false),
    ] {
        let tokens = ScriptedRegistry::start(move |_| reply.clone()).unwrap();
        let server = registry(|_| false);
        let host = server.host();
        let error = ask(&registries([(&host, with(client_of(&tokens)))]), &host, "a").await.unwrap_err();
        assert_eq!(matches!(error.problem, Problem::ClientRefused { .. }), refused, "{error}");
        assert_eq!(matches!(error.problem, Problem::TokenServer { .. }), !refused, "{error}");
        assert!(server.seen().iter().all(|seen| seen.authorization.is_none()));
    }
    // A secret is not sent in the clear for a registry that speaks TLS.
    let tokens = authorization_server(300, false);
    let access = Access { plain_http: false, ..with(client_of(&tokens)) };
    let error = ask(&registries([("127.0.0.1:1", access)]), "127.0.0.1:1", "a").await.unwrap_err();
    assert!(matches!(error.problem, Problem::Unreachable { .. }), "{error}");
    assert!(tokens.seen().is_empty());
}

#[tokio::test]
async fn the_service_account_of_a_google_machine() {
    let metadata = ScriptedRegistry::start(|seen| match seen.header("metadata-flavor") {
        Some("Google") => json(&format!(r#"{{"access_token":"{SECRET}","expires_in":3000,"token_type":"Bearer"}}"#)),
        _ => Reply::new(403, ""),
    })
    .unwrap();
    // `oauth2accesstoken:canary-secret-c01d`
    let basic = "Basic b2F1dGgyYWNjZXNzdG9rZW46Y2FuYXJ5LXNlY3JldC1jMDFk";
    let server = ScriptedRegistry::start(move |seen| match seen.authorization.as_deref() {
        Some(shown) if shown == basic && seen.target.starts_with("/token") => json(r#"{"token":"t"}"#),
        Some("Bearer t") => good_manifest(),
        _ => Reply::challenge(&format!("Bearer realm=\"http://{}/token\"", seen.host)),
    })
    .unwrap();
    let host = server.host();
    let google = Credentials::Google { metadata_server: metadata.host() };
    let registries = registries([(&host, with(google))]);
    for name in ["acme/rules", "acme/other"] {
        ask(&registries, &host, name).await.unwrap();
    }
    assert_eq!(targets(&metadata.seen()), ["/computeMetadata/v1/instance/service-accounts/default/token"]);

    let elsewhere = Credentials::Google { metadata_server: dead_host() };
    let error = ask(&super::registries([(&host, with(elsewhere))]), &host, "a").await.unwrap_err();
    assert!(matches!(error.problem, Problem::NoMetadataServer { .. }), "{error}");
    assert!(error.hint().unwrap().contains("docker-credential-gcr"));
}

/// Requests for one repository that are refused together ask for one token.
#[tokio::test]
async fn a_token_is_asked_for_once() {
    let server = ScriptedRegistry::start(|seen| match seen.authorization.as_deref() {
        _ if seen.target.starts_with("/token") => json(r#"{"token":"t","expires_in":300}"#),
        Some("Bearer t") => good_manifest(),
        _ => Reply::challenge(&format!("Bearer realm=\"http://{}/token\"", seen.host)),
    })
    .unwrap();
    let host = server.host();
    let registries = registries([(&host, basic("fleet"))]);
    let all = futures_util::future::join_all((0..4).map(|_| ask(&registries, &host, "acme/rules"))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let tokens = |seen: &[Seen]| targets(seen).iter().filter(|target| target.starts_with("/token")).count();
    assert_eq!(tokens(&server.seen()), 1);

    // A floating tag that is known costs one HEAD request.
    let before = server.seen().len();
    registries.head(&repository(&host, "acme/rules"), &tag("1")).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), before + 1);
    assert_eq!(seen.last().unwrap().method, "HEAD");
}

/// An identity token that docker's config holds is changed into a bearer token.
#[tokio::test]
async fn identity_tokens_of_docker_s_config() {
    let server = ScriptedRegistry::start(|seen| match seen.authorization.as_deref() {
        _ if seen.target == "/token" && String::from_utf8_lossy(&seen.body).contains(SECRET) => {
            json(r#"{"access_token":"t"}"#)
        }
        Some("Bearer t") => good_manifest(),
        _ => Reply::challenge(&format!("Bearer realm=\"http://{}/token\",service=\"r\"", seen.host)),
    })
    .unwrap();
    let host = server.host();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let entry = serde_json::json!({"auths": {(host.as_str()): {"auth": "MDAwOg==", "identitytoken": SECRET}}});
    std::fs::write(&path, entry.to_string()).unwrap();
    let registries = registries([(&host, plain())]).with_docker_config(path);
    ask(&registries, &host, "acme/rules").await.unwrap();
    let asked = server.seen().into_iter().find(|seen| seen.method == "POST").unwrap();
    assert!(asked.authorization.is_none() && String::from_utf8_lossy(&asked.body).contains("grant_type=refresh_token"));
}
