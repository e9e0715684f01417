//! Fetching indexes over HTTP.

use falconer::index::{CAP, IndexError, fetch, fetch_within};
use falconer::transfer::{Clients, Deadline, RedirectError};
use falconer_tests::scripted_registry::ScriptedRegistry;

use super::*;

const INDEX: &str = "- name: falco-rules\n  type: rulesfile\n";

async fn index_from(server: &ScriptedRegistry) -> Result<Vec<u8>, IndexError> {
    let clients = transfer::client().unwrap().into();
    fetch(&clients, &format!("http://{}/index.yaml", server.host()), None).await.map(|fetched| fetched.copy.bytes)
}

#[tokio::test]
async fn an_index_and_its_redirects() {
    let server = ScriptedRegistry::start(|seen| match seen.target.as_str() {
        "/index.yaml" => Reply::redirect("/2"),
        "/2" => Reply::redirect("/3"),
        "/3" => Reply::redirect("/4"),
        _ => Reply::new(200, INDEX),
    })
    .unwrap();
    assert_eq!(index_from(&server).await.unwrap(), INDEX.as_bytes());

    let server = ScriptedRegistry::start(|_| Reply::redirect("/index.yaml")).unwrap();
    let refused = index_from(&server).await.unwrap_err();
    assert!(matches!(refused, IndexError::Redirect { source: RedirectError::TooMany, .. }), "{refused}");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn an_index_without_end() {
    for announced in [None, Some(400 * MIB)] {
        let server = ScriptedRegistry::start(move |_| Reply::endless(announced)).unwrap();
        let refused = index_from(&server).await.unwrap_err();
        assert!(matches!(refused, IndexError::TooLong { .. }), "{refused}");
        assert!(server.sent() <= CAP + KERNEL_BUFFERS, "{}", server.sent());
    }
}

#[tokio::test]
async fn an_index_server_in_trouble() {
    let server = ScriptedRegistry::start(|_| Reply::new(404, "")).unwrap();
    let missing = index_from(&server).await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        format!("the index http://{}/index.yaml is answered with 404 Not Found", server.host())
    );
    assert_eq!(server.seen().len(), 1);

    let server = ScriptedRegistry::start(|_| Reply::new(503, "")).unwrap();
    assert!(matches!(index_from(&server).await.unwrap_err(), IndexError::Status { .. }));
    assert_eq!(server.seen().len(), 4);

    let clients: Clients = transfer::client().unwrap().into();
    let secret = |server: &ScriptedRegistry| format!("http://{}/index.yaml?sig=canary", server.host());
    for reply in [Reply::silence(), Reply::drip(vec![b'x'; 999], 20)] {
        let server = ScriptedRegistry::start(move |_| reply.clone()).unwrap();
        let deadline = Deadline::after(Duration::from_millis(300));
        let late = fetch_within(&clients, &secret(&server), None, deadline).await.unwrap_err();
        assert!(matches!(late, IndexError::Late { .. }), "{late}");
        assert!(!format!("{late:?}").contains("canary"), "{late:?}");
    }
    let server = ScriptedRegistry::start(|_| Reply::hangup()).unwrap();
    let broken = fetch(&clients, &secret(&server), None).await.unwrap_err();
    assert!(matches!(broken, IndexError::Unreachable { .. }), "{broken}");
    assert!(!format!("{broken:?}").contains("canary"), "{broken:?}");
}
