//! Indexes: what has not changed is not sent again, and a copy counts when the server is away.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use falconer::index::{Cache, Fetched, IndexError, Served, fetch};
use falconer::transfer::Clients;
use falconer_tests::registry_server::{Mode, RegistryServer};

use super::*;

/// An index that names the artifact in the host's layout.
fn index_of(registry: &str) -> String {
    format!("- name: acme-rules\n  type: rulesfile\n  registry: {registry}\n  repository: acme/rules\n")
}

async fn ask(url: &str, cache: &Cache) -> Result<Fetched, IndexError> {
    let clients: Clients = transfer::client().unwrap().into();
    let fetched = fetch(&clients, url, cache.read(url)).await?;
    if fetched.served == Served::Fresh {
        cache.keep(url, &fetched.copy).unwrap();
    }
    Ok(fetched)
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    for (header, condition, value) in
        [("ETag", "if-none-match", "\"v1\""), ("Last-Modified", "if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]
    {
        let version = Arc::new(AtomicU32::new(1));
        let now = Arc::clone(&version);
        let server = ScriptedRegistry::start(move |seen| match (now.load(Ordering::SeqCst), seen.header(condition)) {
            (1, Some(shown)) if shown == value => Reply::new(304, ""),
            (1, _) => Reply::new(200, "one").header(header, value),
            _ => Reply::new(200, "two"),
        })
        .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("indexes"));
        let url = format!("http://{}/index.yaml", server.host());
        let mut came = Vec::new();
        for wanted in [1, 1, 2, 2] {
            version.store(wanted, Ordering::SeqCst);
            let fetched = ask(&url, &cache).await.unwrap();
            came.push((fetched.served, String::from_utf8(fetched.copy.bytes).unwrap()));
        }
        let (fresh, known) = (|text: &str| (Served::Fresh, text.to_owned()), (Served::NotModified, "one".to_owned()));
        assert_eq!(came, [fresh("one"), known, fresh("two"), fresh("two")]);
        assert_eq!(server.sent(), 9, "the second answer had no body");
    }
}

#[tokio::test]
async fn a_copy_stands_in_for_a_server_that_is_away() {
    let state = Arc::new(Mutex::new(Reply::new(200, "kept").header("ETag", "\"1\"")));
    let reply = Arc::clone(&state);
    let server = ScriptedRegistry::start(move |_| reply.lock().unwrap().clone()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path().to_path_buf());
    let url = format!("http://{}/index.yaml", server.host());
    ask(&url, &cache).await.unwrap();
    for away in [Reply::new(503, ""), Reply::hangup()] {
        *state.lock().unwrap() = away;
        let fetched = ask(&url, &cache).await.unwrap();
        assert!(matches!(&fetched.served, Served::FromCache { why } if why.contains("index.yaml")), "{fetched:?}");
        assert_eq!(fetched.copy.bytes, b"kept");
    }
    // A server that says no is not away.
    for status in [404, 403] {
        *state.lock().unwrap() = Reply::new(status, "");
        assert!(matches!(ask(&url, &cache).await, Err(IndexError::Status { .. })));
    }
    // A copy that was tampered with is none.
    let file = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    let tampered = std::fs::read_to_string(&file).unwrap().replace("kept", "evil");
    std::fs::write(&file, tampered).unwrap();
    *state.lock().unwrap() = Reply::new(503, "");
    assert!(matches!(ask(&url, &cache).await, Err(IndexError::Status { .. })));
}

/// The whole way: `lock` in a working copy and `once` on the host.
#[test]
fn by_the_real_program() {
    let registry = RegistryServer::start(Mode::Plain).unwrap();
    let index = index_of(&registry.host());
    let mode = Arc::new(AtomicU32::new(200));
    let now = Arc::clone(&mode);
    let server =
        ScriptedRegistry::start(move |seen| match (now.load(Ordering::SeqCst), seen.header("if-none-match")) {
            (200, Some("\"1\"")) => Reply::new(304, ""),
            (200, _) => Reply::new(200, index.as_bytes()).header("ETag", "\"1\""),
            (status, _) => Reply::new(u16::try_from(status).unwrap(), ""),
        })
        .unwrap();
    let host = adopted(host_with(&format!("[registries.\"{}\"]\nplain_http = true\n", registry.host())));
    let _pushed = host.falconer(push(&format!("{}/acme/rules:1.0.0", registry.host()))).ended_with(0);
    host.commit(&[(
        "fleet.yaml",
        &format!(
            "version: 1\nindexes: [{{name: acme, url: 'http://{}/index.yaml'}}]\n\
             artifacts: {{acme-rules: 1.0.0}}\nrules_files: [{{artifact: acme-rules}}]\n",
            server.host()
        ),
    )]);
    for (status, served) in [(200, "sent"), (200, "known"), (503, "kept")] {
        mode.store(status, Ordering::SeqCst);
        let before = server.sent();
        let locked = host.falconer(["lock", "fleet"]).ended_with(0);
        assert_eq!(server.sent() > before, served == "sent", "{served}");
        assert_eq!(locked.stderr.contains("its last copy counts"), served == "kept", "{}", locked.stderr);
        std::fs::remove_file(host.path("fleet/falconer.lock")).unwrap();
    }
    // The host has its own copy, in its state.
    mode.store(200, Ordering::SeqCst);
    let _live = host.falconer(["once"]).ended_with(0);
    assert_eq!(std::fs::read_dir(host.path("state/indexes")).unwrap().count(), 1);
    mode.store(503, Ordering::SeqCst);
    let stale = host.falconer(["once", "--refresh"]).ended_with(0);
    assert!(stale.stderr.contains("its last copy counts"), "{}", stale.stderr);
}

/// An index that is the only layer of an artifact: from a registry, and from a layout.
#[test]
fn in_an_artifact() {
    use falconer::pack::{Blob, Packed};
    let registry = RegistryServer::start(Mode::Plain).unwrap();
    let host = host_with(&format!("[registries.\"{}\"]\nplain_http = true\n", registry.host()));
    let _pushed = host.falconer(push(&format!("{}/acme/rules:1.0.0", registry.host()))).ended_with(0);
    let blob = |bytes: &[u8]| Blob { digest: Digest::of(bytes), bytes: bytes.to_vec() };
    let (config, layer) = (blob(b"{}"), blob(index_of(&registry.host()).as_bytes()));
    let descriptor = |kind: &str, blob: &Blob| {
        format!(r#"{{"mediaType":"{kind}","digest":"{}","size":{}}}"#, blob.digest, blob.bytes.len())
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        oci::MANIFEST,
        descriptor("application/vnd.oci.empty.v1+json", &config),
        descriptor("application/yaml", &layer)
    );
    let kind = falconer_manifests::artifact::ArtifactType::Asset;
    let packed = Packed { kind, config, layer, manifest: blob(manifest.as_bytes()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pusher = registries([(&registry.host(), plain())]);
    let tags = [Tag::parse("latest").unwrap()];
    runtime.block_on(pusher.push(&repository(&registry.host(), "acme/index"), &packed, &tags)).unwrap();
    let layout = falconer::layout::Layout::create(&host.path("index")).unwrap();
    for blob in [&packed.config, &packed.layer, &packed.manifest] {
        layout.write_blob(&blob.bytes).unwrap();
    }
    let size = packed.manifest.bytes.len() as u64;
    let named =
        falconer::layout::Descriptor { media_type: oci::MANIFEST.into(), digest: packed.manifest.digest.clone(), size };
    layout.tag("latest", &named).unwrap();

    let lock = |url: &str| {
        host.commit(&[(
            "fleet.yaml",
            &format!(
                "version: 1\nindexes: [{{name: acme, url: '{url}'}}]\n\
                 artifacts: {{acme-rules: 1.0.0}}\nrules_files: [{{artifact: acme-rules}}]\n"
            ),
        )]);
        // What is pinned would be asked of nobody.
        drop(std::fs::remove_file(host.path("fleet/falconer.lock")));
        host.falconer(["lock", "fleet"])
    };
    for url in [
        format!("oci://{}/acme/index", registry.host()),
        format!("oci://{}/acme/index:latest", registry.host()),
        format!("oci://{}/acme/index@{}", registry.host(), packed.manifest.digest),
        "oci:index:latest".to_owned(),
        "oci:index".to_owned(),
    ] {
        let _locked = lock(&url).ended_with(0);
        assert!(host.read("fleet/falconer.lock").contains(&format!("{}/acme/rules", registry.host())), "{url}");
    }
    let rules = lock(&format!("oci://{}/acme/rules:1.0.0", registry.host())).ended_with(1);
    assert!(!rules.stderr.contains("panicked"), "{}", rules.stderr);
    let missing = lock(&format!("oci://{}/acme/index:2", registry.host())).ended_with(1);
    assert!(missing.stderr.contains("there is no such tag"), "{}", missing.stderr);
    // Without the registry, the copy under its tag counts for the index, but there is nowhere to ask for the artifact.
    let gone = registry.host();
    drop(registry);
    let away = lock(&format!("oci://{gone}/acme/index:latest")).ended_with(1);
    assert!(away.stderr.contains("its last copy counts"), "{}", away.stderr);
}
